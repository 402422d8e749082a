import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facecctv import cli
from facecctv.cli import batch
from facecctv.cli.options import sources
from facecctv.errors import ImageError, MissingExtra
from facecctv.schema import Result

COMMAND = [sys.executable, "-m", "facecctv"]


def call(*arguments, **options):
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, **options
    )


class TestMain:
    def test_help_lists_every_command_on_stdout(self):
        done = call("--help")
        assert done.returncode == 0
        assert done.stderr == ""
        for name, (_, summary) in cli.COMMANDS.items():
            assert name in done.stdout
            assert summary.split()[0] in done.stdout

    @pytest.mark.parametrize("name", cli.COMMANDS)
    def test_the_list_says_of_each_command_what_the_command_says_of_itself(self, name):
        assert cli.load(name).help.splitlines()[0] == cli.COMMANDS[name][1]

    def test_version(self):
        assert call("--version").stdout.split() == ["facecctv", "0.1.0"]

    def test_no_command_prints_the_help_and_is_wrong_usage(self):
        assert call().returncode == 2

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["dmo"], "Did you mean 'demo'?"),
            (["demo", "--sed", "1"], "--sed"),
            (["demo", "--seed", "x"], "'--seed'"),
            (["demo", "--seed", "-1"], "'--seed'"),
        ],
    )
    def test_wrong_usage_is_2_and_says_what(self, arguments, says):
        done = call(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert says in done.stderr

    def test_an_error_of_ours_is_one_line_and_1(self, tmp_path):
        (tmp_path / "file").write_text("")
        done = call("demo", "-o", str(tmp_path / "file" / "folder"))
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith("facecctv: cannot write the demo")
        assert done.stderr.count("\n") == 1

    def test_help_loads_none_of_the_heavy_packages(self):
        code = (
            "import sys; from facecctv.cli import main; main(['--help']);"
            "heavy = {'numpy', 'cv2', 'rich', 'pydantic', 'PIL', 'onnxruntime'} & set(sys.modules);"
            "sys.exit(' '.join(heavy) or 0)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def test_a_reader_that_goes_away_is_no_traceback(self):
        with subprocess.Popen(
            [*COMMAND, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            process.stdout.close()
            message = process.stderr.read()
        assert process.returncode == 1
        assert message == ""

    @pytest.mark.parametrize(
        ("raised", "status", "says"),
        [
            (KeyboardInterrupt(), 130, "interrupted"),
            (MissingExtra("needs X"), 1, "needs X"),
            (BrokenPipeError(32, "Broken pipe"), 1, ""),
        ],
    )
    def test_what_a_command_raises_becomes_a_status_and_a_line(self, raised, status, says):
        done = raising(raised)
        assert done.returncode == status
        assert done.stderr.strip() == (f"facecctv: {says}" if says else "")

    def test_with_json_an_error_of_the_whole_command_is_json_too(self):
        done = raising(MissingExtra("needs X"), "--json")
        assert json.loads(done.stdout) == {"error": {"type": "MissingExtra", "detail": "needs X"}}

    def test_a_bug_outside_any_input_shows_its_traceback(self):
        done = raising(ZeroDivisionError())
        assert done.returncode == 1
        assert "Traceback" in done.stderr


def raising(error, *arguments):
    """Runs a command `boom` that raises the error, in a process of its own."""
    code = (
        "import sys, types, typer\n"
        "from facecctv import cli, errors\n"
        "from facecctv.errors import *\n"
        "module = types.ModuleType('boom')\n"
        "def boom(json: bool = typer.Option(False, '--json')) -> None:\n"
        "    '''Boom.'''\n"
        f"    raise {'errors.' if isinstance(error, MissingExtra) else ''}{error!r}\n"
        "module.boom = boom\n"
        "sys.modules['boom'] = module\n"
        "cli.COMMANDS['boom'] = ('boom:boom', 'Boom.')\n"
        f"sys.exit(cli.main(['boom', *{list(arguments)!r}]))\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def found(source):
    return Result.of(source, "0" * 64, (1, 1), [])


def work(source):
    match source:
        case "text.jpg":
            raise ImageError("not a picture")
        case "gone.jpg":
            return Path("/nowhere/gone.jpg").read_bytes()
        case "bug.jpg":
            raise ZeroDivisionError("division\nby zero")
        case _:
            return found(source)


class TestBatch:
    def run(self, sources, **options):
        return batch.run(sources, work, lambda result: f"{len(result.faces)} faces", **options)

    def test_no_input_prints_nothing(self, capsys):
        assert self.run([], as_json=True) == 0
        assert capsys.readouterr() == ("", "")

    def test_json_is_one_object_per_input_in_order_with_errors_in_their_place(self, capsys):
        status = self.run(["a.jpg", "text.jpg", "gone.jpg", "bug.jpg", "b.jpg"], as_json=True)
        out, err = capsys.readouterr()
        rows = [json.loads(line) for line in out.splitlines()]
        assert status == 1
        assert err == ""
        assert [row["source"] for row in rows] == [
            "a.jpg",
            "text.jpg",
            "gone.jpg",
            "bug.jpg",
            "b.jpg",
        ]
        assert rows[0] == json.loads(found("a.jpg").to_json())
        assert rows[1]["error"] == {"type": "ImageError", "detail": "not a picture"}
        assert rows[2]["error"] == {
            "type": "FileNotFoundError",
            "detail": "No such file or directory",
        }
        assert rows[3]["error"]["type"] == "InternalError"
        assert "--debug" in rows[3]["error"]["detail"]
        assert "faces" in rows[4]

    def test_for_people_results_go_to_stdout_and_errors_to_stderr(self, capsys):
        assert self.run(["a.jpg", "text.jpg", "b.jpg"], as_json=False) == 1
        assert capsys.readouterr() == (
            "a.jpg: 0 faces\nb.jpg: 0 faces\n",
            "text.jpg: not a picture\n",
        )

    def test_all_well_is_0(self, capsys):
        assert self.run(["a.jpg", "b.jpg"], as_json=False) == 0
        assert capsys.readouterr().err == ""

    def test_debug_shows_where_a_bug_is_but_no_traceback_for_a_bad_input(self, capsys):
        self.run(["text.jpg"], as_json=True, debug=True)
        assert capsys.readouterr().err == ""
        self.run(["bug.jpg"], as_json=True, debug=True)
        assert "ZeroDivisionError" in capsys.readouterr().err

    def test_an_interruption_ends_the_run(self):
        def interrupted(source):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            batch.run(["a"], interrupted, str, as_json=True)

    def test_progress_shows_on_a_terminal_only_on_stderr(self):
        code = (
            "from facecctv.cli import batch; from facecctv.schema import Result; import time\n"
            "def work(s): time.sleep(0.15); return Result.of(s, '0' * 64, (1, 1), [])\n"
            "batch.run(list('abcdef'), work, str, as_json=True)"
        )
        terminal, process_side = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=process_side, text=True
        ) as process:
            os.close(process_side)
            shown = b""
            try:
                while part := os.read(terminal, 4096):
                    shown += part
            except OSError:  # how Linux says that the other side has closed
                pass
            out = process.stdout.read()
        os.close(terminal)
        assert process.returncode == 0
        assert b"/6" in shown
        assert b"/s" in shown
        assert [json.loads(line)["source"] for line in out.splitlines()] == list("abcdef")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pics/b.PNG", "pics/a.jpg", "pics/deep/c.webp", "pics/notes.txt", "pics/[1].jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "empty").mkdir()
    return tmp_path


class TestSources:
    @pytest.mark.parametrize("inputs", [[], ["empty"], ["empty", "empty/"]])
    def test_nothing_to_read_is_wrong_usage(self, folder, inputs):
        with pytest.raises(typer.BadParameter):
            sources(inputs)

    @pytest.mark.parametrize(
        ("inputs", "files"),
        [
            (["pics"], ["pics/[1].jpg", "pics/a.jpg", "pics/b.PNG", "pics/deep/c.webp"]),
            (["pics/b.PNG", "pics/*.PNG"], ["pics/b.PNG"]),
            (["./pics/a.jpg", "gone.jpg"], ["./pics/a.jpg", "gone.jpg"]),
            (["*.jpg"], ["*.jpg"]),
        ],
    )
    def test_each_file_once_as_it_was_named(self, folder, inputs, files):
        assert sources(inputs) == files

    @pytest.mark.parametrize("out", ["pics/deep", "./pics/../pics/deep/"])
    def test_the_output_folder_is_no_input_unless_named(self, folder, out):
        rest = ["pics/[1].jpg", "pics/a.jpg", "pics/b.PNG"]
        assert sources(["pics"], Path(out)) == rest
        assert sources(["pics/deep/c.webp"], Path(out)) == ["pics/deep/c.webp"]
        assert sources(["pics/deep/c.webp", "pics"], Path("pics")) == ["pics/deep/c.webp"]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(st.characters(exclude_characters="./"), min_size=1, max_size=20))  # stay here
    def test_any_text_is_either_found_or_wrong_usage(self, folder, text):
        try:
            files = sources([text])
        except typer.BadParameter:
            files = None
        assert files != []


def test_an_interrupted_process_ends_with_130(tmp_path):
    code = (
        "import signal, sys, time, types\n"
        "from facecctv import cli\n"
        # A shell that runs the tests in its background has its children ignore interruptions.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "module = types.ModuleType('slow')\n"
        "def slow() -> None:\n"
        "    print('ready', flush=True); time.sleep(30)\n"
        "module.slow = slow\n"
        "sys.modules['slow'] = module\n"
        "cli.COMMANDS['slow'] = ('slow:slow', '')\n"
        "sys.exit(cli.main(['slow']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        message = process.stderr.read()
    assert process.returncode == 130
    assert message == "facecctv: interrupted\n"
