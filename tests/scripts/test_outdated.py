"""What is said of packages that have newer versions."""

from scripts.outdated import lines

PROJECT = {"dependencies": ["flwr[simulation]>=1"], "optional-dependencies": {"dev": ["pytest>=8; python_version>'3'"]}}
PINS = "# a comment\nflwr==1.0\npytest==8.0\nattrs==1.0\nTyping_Extensions==1.0\n"


def outdated(*names):
    return [{"name": name, "version": "1.0", "latest_version": "2.0"} for name in names]


def test_what_the_library_uses_comes_first_and_what_is_not_pinned_is_left_out():
    found = lines(outdated("attrs", "pytest", "Flwr", "pip", "typing-extensions"), PROJECT, PINS)
    assert [line.split(maxsplit=4)[0] for line in found] == ["flwr", "pytest", "attrs", "typing-extensions"]
    assert found[0].split(maxsplit=4)[1:] == ["1.0", "->", "2.0", "used by the library"]
    assert found[1].endswith("used by an extra")
    assert found[2].endswith("brought along")


def test_nothing_is_said_where_all_are_new():
    assert lines([], PROJECT, PINS) == []
