"""What must answer at once, or where there is no MindSpore, imports none; a Python without anything is told."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.helpers.project import ROOT

OPTIONS = ("train.py", "eval.py", "eval_onnx.py", "export.py", "predict.py")  # those of the configuration
HELPERS = sorted(path for folder in ("scripts", "tools") for path in (ROOT / folder).glob("[!_]*.py"))
PROGRAMS = [*OPTIONS, "postprocess.py", *(str(path.relative_to(ROOT)) for path in HELPERS)]
CODE = """
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stop:
    sys.exit(stop.code or "mindspore" in sys.modules)
"""


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_imports_no_mindspore(program):
    result = subprocess.run(
        [sys.executable, "-c", CODE, program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage: ")
    assert program not in OPTIONS or "--image_size" in result.stdout


@pytest.mark.parametrize("program", [program for program in PROGRAMS if not program.startswith("scripts/")])
def test_a_python_without_the_requirements_is_told_in_one_line(program):
    # -S hides the installed packages, as another terminal does where the environment is not active.
    words = [sys.executable, "-S", "-E", program, "--help"]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: {sys.executable} has no module numpy: activate the environment in this terminal "
        "(source .venv/bin/activate), or pip install -r requirements.txt\n"
    )


def test_the_launcher_imports_no_mindspore_for_anything_that_it_does():
    modules = sorted(path.stem for path in (ROOT / "src" / "launch").glob("[!_]*.py"))
    code = f"import sys; from src.launch import {', '.join(modules)}; sys.exit('mindspore' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    for module in modules:
        text = (ROOT / "src" / "launch" / f"{module}.py").read_text()
        assert not re.search(r"^\s*(import|from) mindspore\b", text, re.MULTILINE), module
