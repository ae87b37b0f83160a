"""The command predicts what the predictor does; bad images are named and skipped, and a wrong call is one line."""

from __future__ import annotations

import json

import pytest

from tests.helpers.image_files import GOOD
from tests.helpers.training_run import run

pytestmark = pytest.mark.slow


def test_the_command_skips_bad_images_and_its_status_says_so(few_digits, checkpoint, predicted, tmp_path):
    """Without any option about the network: size, device and names stand beside the checkpoint."""
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "empty.jpg").touch()
    (bad / "text.png").write_text("text")
    (bad / "cut.jpg").write_bytes(GOOD["baseline.jpg"][:100])
    good = sorted((few_digits / "val" / "2").iterdir())[:3]
    words = [f"--checkpoint_path={checkpoint}", *map(str, good), "absent.jpg", "bad", "--save=out", "--gradcam_class=1"]
    result = run("predict.py", [*words, "--topk=2", "--json"], tmp_path)
    assert result.returncode == 3, result.stderr
    found = json.loads(result.stdout)
    assert [image["image"] for image in found["images"]] == [str(path) for path in good]
    expected = {str(image.path): image for image in predicted.images}
    for image in found["images"]:
        wanted = expected[image["image"]]
        assert [row["class"] for row in image["predictions"]] == list(wanted.classes[:2])
        assert [row["probability"] for row in image["predictions"]] == pytest.approx(wanted.probabilities[:2], abs=1e-6)
    assert [entry["image"] for entry in found["skipped"]] == [
        "absent.jpg", "bad/cut.jpg", "bad/empty.jpg", "bad/text.png"
    ]  # fmt: skip
    assert "skipped bad/text.png: not an image" in result.stderr
    assert "predict: 3/3 images (100%)" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{path.name}.png" for path in good]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gradcam"], "--gradcam draws into the pictures of --save"),
        (["--topk=0"], "--topk must be at least 1, got 0"),
        (["--image_size=70"], "--image_size: expected an integer >= 71"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(tmp_path, words, message):
    result = run("predict.py", ["--checkpoint_path=a.ckpt", "a.jpg", *words], tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and message in result.stderr and result.stderr.count("\n") == 1
