"""A path one level too high is told: the parts of a data set would become its classes."""

from __future__ import annotations

import re

import pytest

from src.data.image_folders import class_names
from tests.helpers.image_files import make_tree


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            ["train/a/1.jpg", "val/a/1.jpg", "test/a/1.jpg"],
            "give {0}/train to train on (--train_data_dir) and {0}/val to",
        ),
        (["train/a/1.jpg", "validation/a/1.jpg"], "holds train and validation, which are parts of a data set"),
        (["train/1.jpg", "val/1.jpg"], None),  # classes of these names
        (["train/a/1.jpg", "val/1.jpg"], None),
        (["train/a/1.jpg", "bus/a/1.jpg"], None),
        (["train/a/1.jpg"], None),
    ],
)
def test_a_folder_of_parts_is_not_taken_for_one_of_classes(tmp_path, files, said):
    make_tree(tmp_path, files)
    if said is None:
        assert class_names(str(tmp_path)) == sorted({name.partition("/")[0] for name in files})
        return
    with pytest.raises(ValueError, match=re.escape(said.format(tmp_path))):
        class_names(str(tmp_path))
