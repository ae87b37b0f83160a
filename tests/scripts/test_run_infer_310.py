"""The script from model to accuracy, with a stand-in in the place of the C++ program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.infer_script import INPUTS, PROGRAM, make_project, make_work, run

# Both images have the label 0.
ABSENT = (
    "1 of 2 classes have no image in the label file: 1"
    "; labels made without one of the class folders are not the model's: use tools/imgid2label.py --model FILE"
)


@pytest.fixture
def project(tmp_path) -> Path:
    return make_project(tmp_path)


@pytest.fixture
def work(tmp_path) -> Path:
    return make_work(tmp_path)


def test_all_steps_run_from_another_folder_and_leave_their_logs(project, work):
    result = run(project, work, *INPUTS)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"build, log in {work}/build.log",
        f"inference, log in {work}/infer.log",
        f"scoring, log in {work}/acc.log",
        "Top_1_Acc: 50.000%, Top_5_Acc: 100.000%",
        "Top_1_Acc=50.0%, Top_5_Acc=100.0%",
        "scored 2 images of 2 in the label file",
        ABSENT,
    ]
    assert (work / "build.log").read_text() == f"building in {project}/ascend310_infer\n"
    assert (work / "infer.log").read_text() == "found 2 images\n"
    assert (work / "acc.log").read_text().startswith("Top_1_Acc: 50.000%, ")
    assert (work / "arguments").read_text().splitlines() == [
        "--model_path",
        f"{work}/my net.mindir",
        "--dataset_path",
        f"{work}/some data",
        "--device_id",
        "0",
        "--result_path",
        "result_Files",
        "--time_path",
        "time_Result",
    ]


def test_what_the_program_notes_of_the_model_is_shown(project, work):
    notes = ["note: the model takes 299 x 299, its weights were trained at 71", "note: another"]
    program = project / "ascend310_infer" / "out" / "main"
    program.write_text(PROGRAM + "".join(f"echo '{note}' >&2\n" for note in notes) + "echo 'loaded a note: no' >&2\n")
    result = run(project, work, *INPUTS)
    assert result.returncode == 0
    assert result.stderr.splitlines() == notes


def test_device_and_options_reach_the_program(project, work):
    assert run(project, work, *INPUTS, "3", "--device_type", "CPU", "--class_names", "my names").returncode == 0
    arguments = (work / "arguments").read_text().splitlines()
    assert arguments[arguments.index("--device_id") + 1] == "3"
    assert arguments[-4:] == ["--device_type", "CPU", "--class_names", "my names"]


def test_options_without_a_device_reach_the_program(project, work):
    assert run(project, work, *INPUTS, "--device_type=CPU").returncode == 0
    assert (work / "arguments").read_text().splitlines()[-1] == "--device_type=CPU"


def test_earlier_results_are_moved_aside(project, work):
    assert run(project, work, *INPUTS).returncode == 0
    (work / "result_Files" / "mine").write_text("kept")
    again = run(project, work, *INPUTS)
    assert again.returncode == 0
    assert again.stdout.startswith("moved the results of an earlier run to earlier-1\n")
    names = {"result_Files", "time_Result", "build.log", "infer.log", "acc.log"}
    assert {path.name for path in (work / "earlier-1").iterdir()} == names
    assert (work / "earlier-1" / "result_Files" / "mine").read_text() == "kept"
    assert not (work / "result_Files" / "mine").exists()


@pytest.mark.parametrize(
    ("file", "name", "log", "status"),
    [
        ("build.sh", "build", "build.log", 7),
        ("out/main", "inference", "infer.log", 1),
        ("../postprocess.py", "scoring", "acc.log", 1),
    ],
)
def test_the_first_step_that_fails_ends_the_run_with_its_status_and_words(project, work, *, file, name, log, status):
    (project / "ascend310_infer" / file).write_text(
        "import sys\nprint('a long story\\n' * 50)\nsys.exit('the reason')\n"
        if file.endswith(".py")
        else f"#!/bin/bash\nseq 50\necho the reason >&2\nexit {status}\n"
    )
    result = run(project, work, *INPUTS)
    assert result.returncode == status
    lines = result.stderr.splitlines()
    assert lines[-1] == f"error: {name} failed with status {status}: above is the end of {work}/{log}"
    assert "the reason" in lines
    assert len(lines) == 21
    assert result.stdout.splitlines()[-1] == f"{name}, log in {work}/{log}"


SKIPPING = """#!/bin/sh
mkdir -p result_Files
{results}
echo "skipped /data/b/y.jpg: empty file" >&2
echo "predicted {predicted} images in 0.10 s, 10.0 images/s; skipped {skipped}"
exit 3
"""


def test_skipped_images_leave_the_accuracy_of_the_others_and_status_3(project, work):
    results = 'cp "$(dirname "$0")"/a__x_0.bin result_Files'
    program = SKIPPING.format(results=results, predicted=1, skipped=1)
    (project / "ascend310_infer" / "out" / "main").write_text(program)
    result = run(project, work, *INPUTS)
    assert result.returncode == 3
    scores = [
        "1 missing results:",
        "  b__y_0.bin, the result of b/y.jpg",
        "Top_1_Acc: 100.000%, Top_5_Acc: 100.000%",
        "Top_1_Acc=100.0%, Top_5_Acc=100.0%",
        "scored 1 images of 2 in the label file",
        ABSENT,
        "skipped 1 images, named in infer.log",
    ]
    assert sorted((work / "acc.log").read_text().splitlines()) == sorted(scores)
    assert (work / "acc.log").read_text().splitlines()[-1] == scores[-1]
    assert all(line in result.stdout.splitlines() for line in scores)
    lines = result.stderr.splitlines()
    assert "skipped /data/b/y.jpg: empty file" in lines
    assert lines[-1] == f"error: inference skipped 1 images: above is the end of {work}/infer.log"


def test_when_every_image_is_skipped_there_is_no_accuracy_and_status_3(project, work):
    program = SKIPPING.format(results="", predicted=0, skipped=2)
    (project / "ascend310_infer" / "out" / "main").write_text(program)
    result = run(project, work, *INPUTS)
    assert result.returncode == 3
    text = (work / "acc.log").read_text()
    assert "Top_1_Acc" not in text
    assert "is the result of a labelled image" in text
    assert text.endswith("skipped 2 images, named in infer.log\n")
    assert result.stderr.splitlines()[-1].startswith("error: inference skipped 2 images: ")


def test_a_result_that_is_missing_fails_and_is_named(project, work):
    (project / "ascend310_infer" / "out" / "b__y_0.bin").unlink()
    result = run(project, work, *INPUTS)
    assert result.returncode == 1
    assert "  b__y_0.bin, the result of b/y.jpg" in result.stderr.splitlines()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "MINDIR_PATH, DATA_PATH and LABEL_FILE are needed"),
        (INPUTS[:2], "MINDIR_PATH, DATA_PATH and LABEL_FILE are needed"),
        (["absent", *INPUTS[1:]], "MINDIR_PATH is not a file that can be read: {work}/absent"),
        ([INPUTS[0], "my net.mindir", INPUTS[2]], "DATA_PATH is not a folder that can be read: {work}/my net.mindir"),
        ([*INPUTS[:2], "some data"], "LABEL_FILE is not a file that can be read: {work}/some data"),
        ([*INPUTS, "two"], "DEVICE_ID must be a number from 0 on: two"),
        ([*INPUTS, ""], "DEVICE_ID must be a number from 0 on: "),
        ([*INPUTS, "0", "--result_path", "x"], "--result_path cannot be given here: this script sets it"),
        ([*INPUTS, "--device_id=1"], "--device_id=1 cannot be given here: this script sets it"),
        ([*INPUTS, "0", "1"], "not an option: 1"),
    ],
)
def test_a_wrong_argument_prints_the_usage_with_status_2_and_runs_nothing(project, work, words, message):
    before = sorted(path.name for path in work.iterdir())
    result = run(project, work, *words)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: bash scripts/run_infer_310.sh MINDIR_PATH DATA_PATH LABEL_FILE [DEVICE_ID]")
    assert result.stderr.splitlines()[-1] == f"error: {message.format(work=work)}"
    assert result.stdout == ""
    assert sorted(path.name for path in work.iterdir()) == before


@pytest.mark.parametrize("words", [["--help"], [*INPUTS, "-h"]])
def test_help_is_no_error(project, work, words):
    result = run(project, work, *words)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: bash scripts/run_infer_310.sh")


def test_a_python_without_numpy_is_one_line(project, work, tmp_path):
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    result = run(project, work, *INPUTS, PYTHON=str(bare))
    assert result.returncode == 2
    assert result.stderr == (
        f"error: {bare} has no NumPy or no PyYAML: install them with {bare} -m pip install numpy pyyaml\n"
    )


def test_a_python_that_is_none_is_one_line(project, work, tmp_path):
    result = run(project, work, *INPUTS, PYTHON=str(tmp_path / "absent"))
    assert result.returncode != 0
    assert result.stderr == f"error: PYTHON={tmp_path}/absent is not a Python from 3.10 to 3.12\n"


@pytest.mark.parametrize(
    ("words", "variables", "device", "said"),
    [
        ([], {"DEVICE_ID": "2"}, "2", "the device is 2, as the variable DEVICE_ID says\n"),
        (["1"], {"device_id": "3"}, "1", ""),
    ],
)
def test_the_device_is_the_variables_where_none_is_given(project, work, words, variables, device, said):
    result = run(project, work, *INPUTS, *words, **variables)
    assert (result.returncode, result.stderr) == (0, said)
    assert (work / "arguments").read_text().splitlines()[5] == device


def test_a_variable_that_is_no_number_is_refused_by_its_name(project, work):
    result = run(project, work, *INPUTS, device_id="two")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == "error: the variable device_id must be a number from 0 on: two"


def test_from_the_folder_scripts_the_call_of_the_model_zoo_works(project, work):
    """With relative paths and the device in the variable that the model zoo's script reads."""
    scripts = project / "scripts"
    for name in INPUTS:
        (work / name).rename(project / name)
    variables = {"LITE_HOME": "", "MS_LITE_HOME": "", "PYTHON": sys.executable, "device_id": "3", "DEVICE_ID": "2"}
    command = ["bash", "run_infer_310.sh", *(f"../{name}" for name in INPUTS)]
    result = subprocess.run(
        command, cwd=scripts, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "the device is 3, as the variable device_id says\n")
    arguments = (scripts / "arguments").read_text().splitlines()
    assert arguments[1:6:2] == [f"{project}/my net.mindir", f"{project}/some data", "3"]
