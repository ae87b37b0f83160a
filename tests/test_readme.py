"""What the README says is so: its commands run, its lists are complete, and both languages say the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from src.model_utils.config import DEFAULT_FILE
from tests.helpers.project import ROOT

pytestmark = pytest.mark.slow

PAGES = ("README.md", "README_CN.md")
BLOCK = re.compile(r"(<!-- tested -->\n)?```(bash|python)\n(.*?)```", re.DOTALL)


def blocks(page: str) -> list[tuple[bool, str, str]]:
    """Return (tested, language, text) of every code block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [(bool(marker), language, code) for marker, language, code in BLOCK.findall(text)]


def default_of(key: str, values: dict) -> set[str]:
    found = [values[key]] if key in values else []
    found += [section[key] for section in values.values() if isinstance(section, dict) and key in section]
    return {str(value).lower() if isinstance(value, bool) else str(value) for value in found}


def test_both_languages_have_the_same_code_output_and_pictures():
    patterns = (r"```\w+\n.*?```", r"\]\(docs/[^)]*\)", r"@@\w+@@")
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES]
    for pattern in patterns:
        found = [re.findall(pattern, text, re.DOTALL) for text in texts]
        assert found[0] == found[1]
    assert "@@" not in texts[0]


@pytest.mark.parametrize("page", PAGES)
def test_every_parameter_is_listed_with_its_default(page):
    values, groups, _ = yaml.safe_load_all(DEFAULT_FILE.read_text(encoding="utf-8"))
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE))
    keys = {key for entries in groups.values() for key in entries}
    assert rows.keys() == keys
    for key in keys:
        for default in default_of(key, values):
            assert default in rows[key], key


def test_the_table_of_the_layout_names_what_exists_and_every_package():
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Layout")[2]
    folder, paths = "", []
    for cell in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE):
        for name in re.findall(r"`(.*?)`", cell):
            # A name without a folder is in that of the name before it.
            folder = name.rpartition("/")[0] if "/" in name else folder if name not in os.listdir(ROOT) else ""
            paths.append(name if "/" in name or not folder else f"{folder}/{name}")
    assert [path for path in paths if not list(ROOT.glob(path.rstrip("/")))] == []
    packages = {f"src/{path.parent.name}/" for path in ROOT.glob("src/*/__init__.py")}
    assert packages | {f"src/{path.name}" for path in ROOT.glob("src/[!_]*.py")} == {
        path for path in paths if path.startswith("src/")
    }
    assert {path.name for path in ROOT.glob("*.py")} <= set(paths)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_linked_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(((?!http|#)[^)#]+)[^)]*\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def check_example(code: str, run: Callable[..., str]) -> None:
    """Run the example of a MINDIR in Python; it sees an image as predict.py does."""
    label, row = run("python", "-c", f"{code}\nprint(logits[0].tolist())").splitlines()
    path = re.search(r'"(digits/.*?)"', code)[1]
    words = ["--checkpoint_path=xception.mindir", "--json", "--topk=10", path]
    (image,) = json.loads(run("python", "predict.py", *words))["images"]
    logits = np.array(json.loads(row))
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    found = [probabilities[each["class"]] for each in image["predictions"]]
    # To the last digits: after so few steps an image counts for little.
    np.testing.assert_allclose(found, [each["probability"] for each in image["predictions"]], rtol=1e-9)
    assert int(label) == image["predictions"][0]["class"]


def test_the_commands_for_cpu_run_as_they_stand(tmp_path):
    """On a few images a class, which is all that is left out."""
    work = Path(
        shutil.copytree(
            ROOT, tmp_path / "work", ignore=shutil.ignore_patterns(".*", "__pycache__", "quickstart", "out")
        )
    )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def run(*words: str) -> str:
        result = subprocess.run(words, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, (words, result.stdout, result.stderr)
        return result.stdout

    tested = [(language, code) for is_tested, language, code in blocks("README.md") if is_tested]
    assert [language for language, _ in tested] == ["bash", "python", "bash"]
    commands = tested[0][1].splitlines()
    run("bash", "-c", commands[0])
    for split, count in (("train", 2), ("val", 1)):
        for folder in (work / "digits" / split).iterdir():
            for path in sorted(folder.iterdir())[count:]:
                path.unlink()
    outputs = [run("bash", "-c", command) for command in commands[1:]]
    assert "30 images in 10 classes: 0 bad" in outputs[0]
    assert "finished: checkpoints and metrics are in cpu-ckpt/model_0" in outputs[1]
    assert "evaluated 10 images, each once" in outputs[2]
    assert "wrote xception.mindir" in outputs[3]
    assert "wrote xception.onnx" in outputs[4]
    assert outputs[5].startswith("image ") and outputs[5].count(" %") == 3
    assert len(list((work / "pictures").glob("*.png"))) == 1
    assert "evaluated 10 images, each once" in outputs[6]
    check_example(tested[1][1], run)
    # The runtime is large: the one that is here already is used.
    shutil.copytree(ROOT / ".lite", work / ".lite")
    outputs = [run("bash", "-c", command) for command in tested[2][1].splitlines()]
    assert "wrote xception310.mindir" in outputs[1]
    assert "labels.txt: 10 images in 10 of the model's 10 classes" in outputs[2]
    assert "scored 10 images of 10 in the label file" in outputs[3]
