import json

import pytest

from facecctv.desktop.memory import Memory, WindowSize
from facecctv.errors import InputError, OutputError


@pytest.mark.parametrize(
    "text",
    [None, "", "{", "[]", "null", '{"window": 1}', '{"window": {"width": 1}}', '{"settings": []}',
     '{"window": {"width": "900"}}', '{"window": {"other": 900}}', '{"window": {"maximised": 1}}',
     '{"settings": {"a": {"b": 1}}}'],
)  # fmt: skip
def test_what_makes_no_sense_is_as_good_as_absent(tmp_path, text):
    file = tmp_path / "desktop.json"
    if text is not None:
        file.write_text(text)
    assert Memory(file).window == WindowSize()
    assert Memory(file).settings == {}


def test_both_parts_are_kept_beside_each_other(memory):
    memory.keep_window(WindowSize(900, 700, True))
    memory.keep_settings(b'{"theme": "dark", "fontSize": 112.5, "threshold": null}')
    memory.keep_window(WindowSize(901, 700, False))
    assert memory.window == WindowSize(901, 700, False)
    assert memory.settings == {"theme": "dark", "fontSize": 112.5, "threshold": None}


@pytest.mark.parametrize(
    "found",
    [[], "a", None, {"a": {}}, {"a": [1]}, {"a": "x" * 41}, {"k" * 41: 1},
     {str(n): 1 for n in range(33)}],
)  # fmt: skip
def test_only_short_words_and_numbers_are_kept(memory, found):
    with pytest.raises(InputError):
        memory.keep_settings(json.dumps(found).encode())
    assert memory.settings == {}


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"a": "' + b" " * 5000 + b'"}'])
def test_broken_settings_are_refused(memory, data):
    with pytest.raises(InputError):
        memory.keep_settings(data)


@pytest.mark.parametrize("size", [(399, 500), (500, 299), (20_001, 500)])
def test_sizes_nobody_could_use_are_refused(size):
    with pytest.raises(ValueError):
        WindowSize(*size)


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Memory(tmp_path / "file" / "desktop.json").keep_window(WindowSize())
