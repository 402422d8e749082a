from pathlib import Path

import pytest

from facecctv.errors import SettingError
from facecctv.settings import Settings


def test_an_empty_environment_leaves_everything_to_the_library():
    assert Settings.from_environment({}) == Settings()


def test_an_empty_value_is_unset():
    assert (
        Settings.from_environment({"FACECCTV_THREADS": "", "FACECCTV_OFFLINE": " "}) == Settings()
    )


def test_all_values():
    settings = Settings.from_environment(
        {
            "FACECCTV_MODELS": "/srv/models",
            "FACECCTV_THREADS": " 4 ",
            "FACECCTV_PROVIDER": "CPU",
            "FACECCTV_MAX_PIXELS": "1000000",
            "FACECCTV_MAX_BYTES": "5000",
            "FACECCTV_OFFLINE": "Yes",
            "OTHER": "x",
        }
    )
    assert settings == Settings(
        models=Path("/srv/models"),
        threads=4,
        provider="cpu",
        max_pixels=1_000_000,
        max_bytes=5000,
        offline=True,
    )


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("true", True), ("on", True), ("0", False), ("No", False)]
)
def test_flags(value, offline):
    assert Settings.from_environment({"FACECCTV_OFFLINE": value}).offline is offline


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1_0", "+1", "٣", "1e6"])
@pytest.mark.parametrize("name", ["FACECCTV_THREADS", "FACECCTV_MAX_PIXELS", "FACECCTV_MAX_BYTES"])
def test_a_count_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(SettingError, match=name):
        Settings.from_environment({name: value})


def test_a_flag_that_makes_no_sense_is_refused_by_name():
    with pytest.raises(SettingError, match="FACECCTV_OFFLINE"):
        Settings.from_environment({"FACECCTV_OFFLINE": "maybe"})
