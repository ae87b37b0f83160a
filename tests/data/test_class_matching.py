"""Class folders are matched to the classes of a model by name, by a class map, or by position, and it is said which."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.class_map import parse_class_map
from src.data.class_matching import MatchedClasses, ModelClasses, match_classes
from src.data.class_names import imagenet_names
from src.model_utils.config import ConfigError

NFC, NFD = "Café", "Cafe\u0301"
IDS = tuple(imagenet_names())


def match(folders: Sequence[str], names: Sequence[str] = (), count: int = 0, lines: str = "") -> MatchedClasses:
    model = ModelClasses("net.ckpt", count or len(names), tuple(names))
    return match_classes(folders, "val", model, parse_class_map(lines, "map.csv") if lines else None)


# By name


@given(st.data(), st.lists(st.text(min_size=1), min_size=1, max_size=9, unique=True))
def test_any_subset_has_the_numbers_of_its_names(data, names):
    names = [f"{number}{name}" for number, name in enumerate(names)]  # different in every form of Unicode
    folders = sorted(data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True)))
    found = match(folders, names)
    assert [names[label] for label in found.labels] == folders
    assert sorted([*folders, *found.absent]) == sorted(names)
    assert (found.names, found.notes) == (tuple(names), ())


@pytest.mark.parametrize(("model", "folder"), [(NFC, NFD), (NFD, NFC)])
def test_both_forms_of_unicode_are_one_name(model, folder):
    assert match([folder, "Tee"], ["Bier", model, "Tee"]).labels == (1, 2)
    with pytest.raises(ConfigError, match=r"two class folders of one name, .* in two forms of Unicode"):
        match(sorted([model, folder]), [model, "Tee"])


@pytest.mark.parametrize(
    ("folders", "names", "message"),
    [
        ("127", "012", "net.ckpt has no class 7, a class folder of val; its classes are 0, 1, 2: say which class a "
         "folder is by --class_map FILE, CSV lines of folder,class"),
        (["cat", "dgo", "hors"], ["cat", "dog", "horse"],
         "net.ckpt has no class dgo, a class folder (and 1 more) of val; the nearest is dog: say which"),
        (["Tabby Cat"], ["dog", "tabby cat"],
         "net.ckpt has no class Tabby Cat, a class folder of val; the nearest is tabby cat: say which"),
        (["x"], "abcdefgh",
         "net.ckpt has no class x, a class folder of val; its classes are a, b, c, d, e and 3 more: say which"),
        (["crane"], ["a", "crane", "crane"],
         "class folder crane of val: net.ckpt has 2 classes of the name crane, 1, 2: say which class a folder is by "),
    ],
)  # fmt: skip
def test_a_folder_of_no_class_or_of_several_is_named_with_the_way_out(folders, names, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        match(folders, names)


def test_a_name_that_two_classes_have_does_not_matter_where_no_folder_has_it():
    assert match(["a"], ["crane", "a", "crane"]).labels == (1,)


def test_names_are_as_many_as_classes():
    with pytest.raises(ValueError, match=r"^net\.ckpt has 3 classes, but 2 names of classes"):
        ModelClasses("net.ckpt", 3, ("a", "b"))


# By position, or ImageNet's ids


def test_without_names_positions_count_and_that_is_said():
    found = match(["a", "b", "c"], count=3)
    assert (found.labels, found.names, found.absent) == ((0, 1, 2), ("a", "b", "c"), [])
    (note,) = found.notes
    assert "the class folders of val are taken by their position in sorted order, from a for class 0 to c for" in note
    with pytest.raises(
        ValueError, match=r"^net\.ckpt has 4 classes, but val has 3 class folders, .* use another of both"
    ):
        match(["a", "b", "c"], count=4)


@given(st.sets(st.sampled_from(IDS), min_size=1))
def test_imagenets_ids_tell_the_classes_of_a_model_of_1000_without_names(some):
    found = match(sorted(some), count=1000)
    assert [IDS[label] for label in found.labels] == sorted(some)
    (note,) = found.notes
    assert note.startswith("net.ckpt has 1000 classes without names, and val has WordNet ids of ImageNet-1k: these are")


def test_all_of_imagenet_has_the_labels_of_its_order():
    found = match(IDS, count=1000)
    assert (found.labels, found.names, found.absent) == (tuple(range(1000)), IDS, [])


def test_folders_that_are_not_all_imagenets_are_no_sign_of_it():
    other = sorted([*IDS[:-1], "n99999999"])
    assert "by their position" in match(other, count=1000).notes[0]
    with pytest.raises(ValueError, match="but val has 2 class folders"):
        match([IDS[0], "n99999999"], count=1000)
    with pytest.raises(ValueError, match="but val has 2 class folders"):
        match(IDS[:2], count=999)


# By a class map


@pytest.mark.parametrize(
    ("lines", "labels", "note"),
    [
        ("Katze,cat\nHund,2\n", (2, 0, 1), "Hund is class 2 (7), Katze is class 0 (cat)"),
        ("Katze,cat\nHund,7\nVogel,cat", (2, 0, 1), "Hund is class 2 (7), Katze is class 0 (cat)"),  # 7: a name first
        (
            "Katze,cat\nHund,cat\ndog,7\n",
            (0, 0, 2),
            "Hund is class 0 (cat), Katze is class 0 (cat), dog is class 2 (7)",
        ),
    ],
)
def test_a_class_map_comes_before_names_and_several_folders_may_be_of_one_class(lines, labels, note):
    found = match(["Hund", "Katze", "dog"], ["cat", "dog", "7"], lines=lines)
    assert (found.labels, found.notes) == (labels, (f"class map map.csv: {note}",))


def test_a_folder_of_a_class_map_may_be_of_the_class_of_another_one():
    assert match(["cat", "kitten"], ["cat", "dog"], lines="kitten,cat").labels == (0, 0)


def test_a_class_map_knows_both_forms_of_unicode():
    assert match(sorted([NFC, NFD]), ["x", NFD], lines=f"{NFC},{NFC}").labels == (1, 1)


def test_a_class_map_of_numbers_needs_no_names():
    found = match(["a", "b"], count=3, lines="a,2\nb,0\n")
    assert (found.labels, found.names, found.absent) == ((2, 0), ("0", "1", "2"), ["1"])
    assert found.notes == ("class map map.csv: a is class 2, b is class 0",)


def test_a_class_map_may_name_imagenets_classes_by_their_ids():
    found = match(["goldfish", IDS[5]], count=1000, lines=f"goldfish,{IDS[1]}\n")
    assert found.labels == (1, 5)
    assert len(found.notes) == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("Hund,dgo", "class map map.csv, line 1: net.ckpt has no class dgo; the nearest is dog: give the name of a "
         "class, or a number from 0 to 3"),
        ("Hund,dog\nKatze,4",
         "class map map.csv, line 2: net.ckpt has no class 4; its classes are cat, dog, crane, crane: give the name"),
        ("Hund,-1", "class map map.csv, line 1: net.ckpt has no class -1"),
        (f"Hund,{'9' * 5000}", "class map map.csv, line 1: net.ckpt has no class 999"),
        ("Hund,dog\nabsent,crane",
         "class map map.csv, line 2: net.ckpt has 2 classes of the name crane, 2, 3: give the number"),
        ("hund,dog\nx,cat", "val has none of the folders of class map map.csv: the map lists hund, x, the class "
         "folders are Hund, Katze"),
        ("Hund,dog", "net.ckpt has no class Katze, a class folder of val; the nearest is cat: add it to map.csv"),
    ],
)  # fmt: skip
def test_a_class_map_that_names_what_is_not_there_is_told_by_its_line(lines, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        match(["Hund", "Katze"], ["cat", "dog", "crane", "crane"], lines=lines)


def test_a_folder_that_a_class_map_without_names_leaves_out_is_an_error():
    with pytest.raises(ConfigError, match=r"no class b, .* its classes have no names here, only the numbers 0 to 2"):
        match(["a", "b"], count=3, lines="a,2\n")
