"""Result files have the names of the inference program, and give the accuracy of their logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.label_file import Labels, parse_labels
from src.evaluation.accuracy import Accuracy
from src.evaluation.result_files import Scored, score_results
from src.evaluation.result_matching import match_results, result_names
from tests.helpers.result_files import write_results, write_table


def score(folder: Path, labels: Labels) -> Scored:
    return score_results(match_results(folder, labels))


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["cats/a.b.jpg", "cats/a.jpg"], ["cats__a.b_0.bin", "cats__a_0.bin"]),
        (["a.jpg", "a.PNG", "b.JPEG"], ["a.jpg_0.bin", "a.PNG_0.bin", "b_0.bin"]),
        (["x" * 249 + ".jpg"], ["x" * 249 + "_0.bin"]),
        (["aa/" + "狗" * 90 + ".png"], ["aa__" + "狗" * 76 + "~d01062701af253a4_0.bin"]),
        (["x" * 250 + ".jpg"], ["x" * 232 + "~ef23d1d5bf210a76_0.bin"]),
        (["a/b/c.jpg", "c", "d.e", "f.d/g"], ["a__b__c_0.bin", "c_0.bin", "d.e_0.bin", "f.d__g_0.bin"]),
    ],
)
def test_result_names_are_those_of_the_inference_program(paths, names):
    assert result_names(paths) == dict(zip(paths, names, strict=True))


@given(st.integers(1, 9), st.integers(1, 9), st.randoms(use_true_random=False))
def test_files_give_the_accuracy_of_their_logits(tmp_path_factory, classes, images, random):
    generator = np.random.default_rng(random.randrange(2**32))
    logits = generator.normal(size=(images, classes)).astype(np.float32)
    label = generator.integers(0, classes, images)
    folder = tmp_path_factory.mktemp("results")
    write_results(folder, {f"c__{number}": row for number, row in enumerate(logits)})
    scored = score(folder, Labels({f"c/{number}.jpg": int(true) for number, true in enumerate(label)}, ()))
    expected = Accuracy(classes)
    expected.add(logits, label)
    assert scored.problems == {}
    assert (scored.accuracy.top_1, scored.accuracy.top_5) == (expected.top_1, expected.top_5)
    assert np.array_equal(scored.accuracy.confusion, expected.confusion)


def test_one_result_of_two_images_counts_for_neither(tmp_path):
    write_results(tmp_path, {"a__b": np.ones(2), "c": np.ones(2)})
    scored = score(tmp_path, parse_labels("a/b.jpg:0\na__b.jpg:1\nc.jpg:0\n"))
    assert scored.accuracy.images == 1
    assert scored.problems == {"malformed results or lines": ["a__b_0.bin is the result of several images"]}


def test_the_table_tells_the_names_of_images_that_have_no_label(tmp_path):
    """Beside a.png the result of a.jpg keeps its suffix, whether a.png has a label or not."""
    write_results(tmp_path, {"a.jpg": np.eye(2)[1], "a.png": np.eye(2)[0]})
    write_table(tmp_path, ["a.jpg", "a.png"])
    scored = score(tmp_path, parse_labels("a.jpg:1\n"))
    assert (scored.accuracy.images, scored.accuracy.top_1) == (1, 1)
    assert scored.problems == {"results without a label": ["a.png_0.bin"]}


def test_a_path_of_the_table_is_read_as_it_was_written(tmp_path):
    paths = ['k/a, "b".jpg', "k/c\udce9.jpg", "k/ d\n.jpg", "é\u2028.jpg"]
    write_results(tmp_path, {path[:-4].replace("/", "__"): np.ones(2) for path in paths})
    write_table(tmp_path, paths)
    scored = score(tmp_path, Labels(dict.fromkeys(paths, 0), ()))
    assert (scored.accuracy.images, scored.problems) == (4, {})


def test_a_result_that_the_table_lists_and_the_folder_lacks_is_missing(tmp_path):
    write_results(tmp_path, {"a": np.ones(2)})
    write_table(tmp_path, ["a.jpg", "b.jpg"])
    scored = score(tmp_path, parse_labels("a.jpg:0\nb.jpg:0\n"))
    assert scored.problems == {"missing results": ["b_0.bin, the result of b.jpg"]}


def test_labels_of_no_result_are_told_with_the_first_malformed_line(tmp_path):
    write_results(tmp_path, {"k__a": np.ones(2)})
    with pytest.raises(ValueError, match="is the result of a labelled image") as refusal:
        score(tmp_path, parse_labels("k/a.jpg,zero\nk/a.jpg, 1\n"))
    assert str(refusal.value).endswith(
        "the first one's would be k__a.jpg,_0.bin; line 1 of the label file is not 'path:label': k/a.jpg,zero; "
        "tools/imgid2label.py writes label files"
    )


@pytest.mark.parametrize("size", [0, 3])
def test_files_that_hold_no_logits_at_all_are_malformed(tmp_path, size):
    (tmp_path / "a_0.bin").write_bytes(b"x" * size)
    scored = score(tmp_path, parse_labels("a.jpg:0"))
    assert scored.accuracy.images == 0
    assert list(scored.problems) == ["malformed results or lines"]
