"""Files of YAML are data, and no more of it than somebody could have written: what is refused, in a line."""

from pathlib import Path

import pytest

from aimarket.complaints import SettingsError
from aimarket.yaml_files import check_file, check_interpolations, check_size, load

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcd", "bcde", strict=True)
)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "aliases make it longer than 50,000 values"),
        ("[" * 200 + "]" * 200, "lists and mappings are nested too deeply"),
        ("a: &a [*a]", "lists and mappings are nested too deeply"),
        ("a: " + "x" * 250_000, "should be no longer than 250,000 bytes"),
        (b"\xff\xfe\xff", "file.yaml: "),
        ("a: [1", "file.yaml: "),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ],
)
def test_what_is_no_plain_data_or_too_much_of_it_is_refused(text: str | bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        load(written(tmp_path, text))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_plain_data_is_read(tmp_path: Path) -> None:
    assert load(written(tmp_path, "a: &x [1, 2.5]\nb: {c: *x, d: null}\n")) == {
        "a": [1, 2.5],
        "b": {"c": [1, 2.5], "d": None},
    }
    assert load(written(tmp_path, "# nothing\n")) is None
    with pytest.raises(SettingsError, match=r"absent\.yaml"):
        load(tmp_path / "absent.yaml")


def test_a_file_is_as_small_as_it_looks(tmp_path: Path) -> None:
    check_size(written(tmp_path, "a: [1"))  # whoever reads it will tell
    with pytest.raises(SettingsError, match="aliases"):
        check_size(written(tmp_path, BOMB))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("defaults: [../../secret]", "defaults: should name files of the configuration (got '../../secret')"),
        ("defaults:\n  - //host/file", "defaults: should name files of the configuration (got '//host/file')"),
        ("defaults: ['${oc.env:HOME}']", "defaults: should name files of the configuration"),
        ("defaults:\n  - override hydra/launcher: on_ray", "hydra: jobs are set up on the command line"),
        ("hydra: {run: {dir: /tmp}}", "hydra: jobs are set up on the command line"),
        ("# @package hydra\na: 1", "hydra: jobs are set up on the command line"),
        ("outputs: /tmp", "outputs: where results go is said on the command line"),
    ],
)
def test_a_configuration_names_files_of_its_own_and_sets_up_no_jobs(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        check_file(written(tmp_path, text))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["a: 1", "# no outputs, no hydra\ndefaults: [/provider@a: b]\n", "- hydra", "a: [$", "source: https://x.org"],
)
def test_what_reaches_for_nothing_may_be_composed(text: str, tmp_path: Path) -> None:
    check_file(written(tmp_path, text))


def test_a_configuration_refers_to_itself_alone_and_seldom() -> None:
    check_interpolations({"a": "${run.seed}", "b": ["x", {"c": "${a}${run.seed}"}], "d": 1})
    check_interpolations({"a": "${run.${a}}"})
    for text in ("${oc.env:HOME}", "${run.${oc.env:HOME}}", "${"):
        with pytest.raises(SettingsError, match=r"^b\.1\.c: should refer to other settings only"):
            check_interpolations({"b": ["x", {"c": text}]})
    check_interpolations({"a": "${b}" * 16})
    with pytest.raises(SettingsError, match=r"at most 16 interpolations \(got 17\)"):
        check_interpolations({"a": "${b}" * 17})
