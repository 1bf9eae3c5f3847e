from todo.cli import main


def test_list(capsys):
    main(["list"], [{"name": "tea", "done": True}, {"name": "cake", "done": False}])
    assert capsys.readouterr().out == "[x] tea\n[ ] cake\n"
