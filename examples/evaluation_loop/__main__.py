"""An evaluation loop on Reflect: an agent solves tasks, a program judges them, and the score rises.

    python examples/evaluation_loop
    python examples/evaluation_loop score.svg

In every round the agent writes dates for letters to eight countries. It begins with the usage of the United
States. A program compares each answer with the right one, and the trace of the run is sent with its verdict
and feedback. In later rounds the agent finds these lessons and follows them. A second agent solves the same
tasks without memory: its score shows how hard they are.

It prints the scores of each round, a plot, and what the project has learned. With a file name it also writes
the plot as an SVG image. It runs on a sandbox in this process, or with REFLECT_API_URL set on your server: in
a project of its own, so REFLECT_API_KEY must be a key that may make projects.

To use a real agent and tasks of your own, replace ``agent``, ``tasks_of_round`` and ``evaluate``.
"""

import asyncio
import os
import random
import re
import sys
from contextlib import AsyncExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from reflexio_async import AsyncReflectClient
from reflexio_async.reflect import presets
from reflexio_async.testing import Sandbox

ROUNDS, TASKS = 8, 8
# A lesson helps with its own country alone, so similarity must decide what is found: lambda_ near 1.
VALUES: presets.Preset = {**presets.COLD_START, "lambda_": 0.9}
USAGES = {
    "America": "%m/%d/%Y",
    "Britain": "%d/%m/%Y",
    "Canada": "%Y-%m-%d",
    "Denmark": "%d-%m-%Y",
    "Estonia": "%d.%m.%Y",
    "Finland": "%d.%m.%y",
    "Hungary": "%Y.%m.%d",
    "Japan": "%Y/%m/%d",
}


class Task(NamedTuple):
    """One task.

    Attributes:
        text: What the agent is asked.
        country: The country in it.
        answer: The right answer.
    """

    text: str
    country: str
    answer: str


class Score(NamedTuple):
    """The share of right answers in one round, with memory and without, 0 to 1."""

    memory: float
    control: float


def tasks_of_round(number: int) -> list[Task]:
    """Draw the tasks of a round. The same round has the same tasks in every run of this program."""
    draw = random.Random(number)  # noqa: S311  # no secret
    tasks: list[Task] = []
    for country in draw.choices(list(USAGES), k=TASKS):
        day = date(2026, 1, 1) + timedelta(draw.randrange(365))
        text = f"{country}: write the date {day:%d %B %Y} as they do in {country}"
        tasks.append(Task(text, country, f"{day:{USAGES[country]}}"))
    return tasks


async def agent(task: Task, prompt: str) -> str:
    """Stands for an agent with a language model. It follows the lesson in its prompt, if one fits."""
    lesson = re.search(rf"In {task.country} a date is written as (%.%.%.|%.[-./]%.[-./]%.)", prompt)
    words = re.search(r"the date (\d+ \w+ \d+)", prompt)
    assert words is not None
    usage = lesson[1] if lesson else USAGES["America"]
    return f"{parse(words[1]):{usage}}"


def parse(text: str) -> date:
    """Read a date such as ``03 April 2026``."""
    day, month, year = text.split()
    names = [f"{date(2026, number, 1):%B}" for number in range(1, 13)]
    return date(int(year), names.index(month) + 1, int(day))


def evaluate(task: Task, answer: str) -> str | None:
    """Judge an answer. Return what went wrong, or None when it is right."""
    if answer == task.answer:
        return None
    return f"In {task.country} a date is written as {USAGES[task.country]}."


async def solve(client: AsyncReflectClient, task: Task) -> bool:
    """Let the agent solve a task with what is known from earlier rounds, and send how it went."""
    async with client.trace(task.text, blocking=True, **VALUES) as ctx:
        answer = await agent(task, ctx.augmented_task)
        wrong = evaluate(task, answer)
        ctx.set_output(
            trajectory=f"User: {task.text}\nAssistant: {answer}",
            final_response=answer,
            result="fail" if wrong else "pass",
            feedback_text=wrong,
        )
    return wrong is None


async def play_round(client: AsyncReflectClient, number: int) -> Score:
    tasks = tasks_of_round(number)
    solved = await asyncio.gather(*(solve(client, task) for task in tasks))
    control = [evaluate(task, await agent(task, task.text)) is None for task in tasks]
    return Score(sum(solved) / TASKS, sum(control) / TASKS)


def text_plot(scores: list[Score]) -> str:
    """Draw the scores as bars."""
    lines = [
        f"{number:>5}  {score.memory:>6.0%} {'█' * round(score.memory * 40):<40}  {score.control:>6.0%}"
        for number, score in enumerate(scores, 1)
    ]
    return "\n".join((f"round  with memory {'without':>36}", *lines))


def svg_plot(scores: list[Score]) -> str:
    """Draw the scores as two curves, in an image that needs nothing else."""
    left, bottom, width, height = 50, 230, 420, 200

    def curve(values: list[float], colour: str, name: str) -> str:
        step = width / max(len(values) - 1, 1)
        points = [(left + at * step, bottom - value * height) for at, value in enumerate(values)]
        line = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        x, y = points[-1]
        return (
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="3"/>'
            f'<text x="{x + 8:.0f}" y="{y + 4:.0f}" fill="{colour}">{name}</text>'
        )

    axes = "".join(
        f'<line x1="{left}" x2="{left + width}" y1="{bottom - share * height:.0f}" '
        f'y2="{bottom - share * height:.0f}" stroke="#ddd"/>'
        f'<text x="8" y="{bottom - share * height + 4:.0f}">{share:.0%}</text>'
        for share in (0, 0.5, 1)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 270" font-family="sans-serif">'
        f'{axes}<text x="{left}" y="258">rounds 1 to {len(scores)}</text>'
        f"{curve([score.memory for score in scores], '#0a6', 'with memory')}"
        f"{curve([score.control for score in scores], '#999', 'without')}</svg>\n"
    )


async def main() -> list[Score]:
    async with AsyncExitStack() as stack:
        url, key = os.environ.get("REFLECT_API_URL", ""), os.environ.get("REFLECT_API_KEY", "")
        if not url:
            box = await stack.enter_async_context(Sandbox())
            url, key = box.reflect_url, box.reflect_key
        project = f"evaluation-{uuid4().hex[:8]}"  # a new one: the score begins without memory
        client = await stack.enter_async_context(
            AsyncReflectClient(base_url=url, api_key=key, project_id=project)
        )
        scores = [await play_round(client, number) for number in range(1, ROUNDS + 1)]
        print(text_plot(scores))
        print(f"\nFrom {scores[0].memory:.0%} in the first round to {scores[-1].memory:.0%} in the last.\n")
        print(await client.learning_report())
    return scores


if __name__ == "__main__":
    scores = asyncio.run(main())
    for image in sys.argv[1:]:
        Path(image).write_text(svg_plot(scores), encoding="utf-8")
