"""One task, one answer: the agent reads the lessons of earlier runs, and a program judges its run.

Set REFLECT_API_URL and REFLECT_API_KEY, or run a local server: reflexio-async sandbox.
"""

import asyncio

from reflexio_async import AsyncReflectClient
from reflexio_async.reflect import presets

INVOICES = [
    ("Read the date 03/04/2025 of a French invoice", "3 April 2025"),
    ("Read the date 05/06/2025 of a French invoice", "5 June 2025"),
]


async def model(prompt: str) -> str:
    """Stands for your language model. It guesses, unless the prompt says how dates are written."""
    date, _, _ = prompt.removeprefix("Read the date ").partition(" ")
    first, second, year = date.split("/")
    day, month = (first, second) if "the day comes first" in prompt else (second, first)
    return f"{int(day)} {['March', 'April', 'May', 'June'][int(month) - 3]} {year}"


async def solve(client: AsyncReflectClient, task: str, expected: str) -> str:
    # The vendor's values for a server with few memories. With some hundred reviewed ones: presets.LATER.
    async with client.trace(task, blocking=True, **presets.COLD_START) as ctx:
        answer = await model(ctx.augmented_task)
        right = answer == expected
        ctx.set_output(
            trajectory=f"User: {task}\nAssistant: {answer}",
            final_response=answer,
            result="pass" if right else "fail",
            feedback_text=None if right else "On a French invoice the day comes first.",
        )
    return answer


async def main() -> None:
    async with AsyncReflectClient() as client:
        for task, expected in INVOICES:
            print(await solve(client, task, expected))


if __name__ == "__main__":
    asyncio.run(main())
