"""The annotations by which the code reads a configuration."""

from typing import get_type_hints

from src.model_utils.config_values import kind_of
from src.model_utils.settings import Settings
from tests.helpers.configuration import documents, known_keys, parse


def test_every_key_is_annotated_with_the_type_that_a_file_must_give_it():
    allowed = documents()[2]
    expected = {key: kind_of(allowed.get(key)) for key in known_keys()}
    expected["export_batch_size"] = expected["batch_size"]
    assert get_type_hints(Settings) == expected


def test_every_value_has_the_type_of_its_annotation():
    assert {name: type(value) for name, value in parse().to_dict().items()} == get_type_hints(Settings)
