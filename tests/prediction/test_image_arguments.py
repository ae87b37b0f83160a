"""Words of a command line name images."""

from __future__ import annotations

from src.prediction.image_arguments import named_images
from tests.helpers.image_files import make_tree


def test_files_folders_and_patterns_name_images_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_tree(tmp_path, ["a/1.jpg", "a/deep/2.PNG", "a/notes.txt", "b/[x].jpg", "b/x.jpg", "c/readme.txt"])
    paths, problems = named_images(["b/[x].jpg", "a", "a/1.jpg", str(tmp_path / "a" / "1.jpg"), "a/notes.txt"])
    assert [str(path) for path in paths] == ["b/[x].jpg", "a/1.jpg", "a/deep/2.PNG", "a/notes.txt"]
    assert problems == {}
    paths, problems = named_images(["*/x.jpg", "**/*.PNG", "absent.jpg", "*.gif", "c", ""])
    assert [str(path) for path in paths] == ["b/x.jpg", "a/deep/2.PNG"]
    assert problems == {
        "absent.jpg": "no such file",
        "*.gif": "nothing matches this pattern",
        "c": "no images in this folder",
        "": "no such file",
    }
