import json

from todo.cli import main


def test_one_array(capsys):
    main(["list", "--json"], [{"name": "tea", "done": True}, {"name": "cake", "done": False}])
    assert json.loads(capsys.readouterr().out) == [
        {"name": "tea", "done": True},
        {"name": "cake", "done": False},
    ]


def test_empty(capsys):
    main(["list", "--json"], [])
    assert json.loads(capsys.readouterr().out) == []


def test_without_the_flag(capsys):
    main(["list"], [{"name": "tea", "done": True}])
    assert capsys.readouterr().out == "[x] tea\n"
