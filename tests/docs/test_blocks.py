"""Every block of code in README.md and in the pages of docs/ runs, or says why it does not."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from page_blocks import IN_CLEAN_CLONES, NOT_RUN, ROOT, blocks_of, fault_of, is_run, pages
from readme_commands import Block, fenced_blocks, readme_blocks

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [page.relative_to(ROOT).as_posix() for page in pages()]


def run(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", ROOT / ".ci/page_blocks.py", page, folder],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_what_is_done_with_it(name: str) -> None:
    """After the language: run, more, test, file=NAME, or the reason why it is not run."""
    faults = {f"line {block.line}": fault for block in blocks_of(ROOT / name) if (fault := fault_of(block))}
    assert faults == {}, f"{name}; the reasons are {NOT_RUN}"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PAGES if any(map(is_run, blocks_of(ROOT / name)))])
def test_the_blocks_of_a_page_run(name: str, tmp_path: Path) -> None:
    result = run(ROOT / name, tmp_path)
    assert result.returncode == 0, result.stdout


def test_the_readme_has_at_most_250_lines() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 250


@pytest.mark.parametrize("info", IN_CLEAN_CLONES)
def test_the_readme_has_the_commands_that_ci_runs(info: str) -> None:
    assert readme_blocks(info), f"README.md has no block that opens with ```{info}"


def test_blocks_are_found_with_their_heading_and_line() -> None:
    markdown = "# Title\n\n```bash demo\n# no heading\nls\n```\n\n## Use\n\n````python run\n```\nx\n````\n"
    assert list(fenced_blocks(markdown)) == [
        Block("Title", "bash demo", 4, "# no heading\nls\n"),
        Block("Use", "python run", 11, "```\nx\n"),
    ]


@pytest.mark.parametrize(
    "info",
    ["python run", "python more", "python test", "bash run", "python fragment", "json", "toml file=a.toml"],
)
def test_a_block_that_says_what_is_done_with_it_is_right(info: str) -> None:
    assert fault_of(Block("", info, 1, "")) == ""


@pytest.mark.parametrize(
    "info", ["", "python", "bash", "bash more", "python later", "console", "python run fragment"]
)
def test_a_block_that_does_not_is_named(info: str) -> None:
    assert fault_of(Block("", info, 1, "")) != ""


PAGE = """\
```json file=data.json
{"a": 1}
```

```bash run
cat data.json
[[ "$REFLEXIO_API_URL" == "http://localhost:8061" ]]
reflexio-async whoami
```

```python run
from pathlib import Path

text = Path("data.json").read_text()
```

```python more
assert "a" in text
```

```python test
import pytest


@pytest.mark.asyncio
async def test_it(reflexio_client):
    assert (await reflexio_client.whoami()).success
```

```python fragment
raise ValueError
```
"""


@pytest.mark.slow
def test_the_blocks_of_a_page_share_a_folder_a_sandbox_and_a_namespace(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, "utf-8")
    result = run(page, tmp_path)
    assert result.returncode == 0, result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("info", ["python run", "bash run", "python test"])
def test_a_block_that_fails_is_named_with_its_line(info: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    code = "false" if info.startswith("bash") else "def test() -> None:\n    raise ValueError\n\n\ntest()"
    page.write_text(f"# Page\n\n```{info}\n{code}\n```\n", "utf-8")
    result = run(page, tmp_path)
    assert result.returncode != 0
    assert "page.md, line 4" in result.stdout
