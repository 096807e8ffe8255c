# SPDX-License-Identifier: Apache-2.0
"""The launcher alone: options, what it finds in the way, the environment and exit status it hands on."""
import os
import shutil
import stat
import subprocess

import pytest

from paths import BUILD, LAUNCHER, PRELOAD

BASE = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"}


def launch(*args, env=None, **more):
    return subprocess.run([more.pop("launcher", LAUNCHER), *args], env={**BASE, **(env or {})}, timeout=30,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def env_of(result):
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


def script(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


def build(path, *flags, compiler="gcc"):
    source = '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { const char *p = getenv("LD_PRELOAD"); ' \
             'puts(p ? p : "none"); return 5; }\n'
    subprocess.run([compiler, *flags, "-x", "c", "-", "-o", path], input=source, text=True, check=True)
    return path


@pytest.fixture(scope="session")
def static_program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("static") / "prog", "-static")


def warned(result):
    lines = result.stderr.splitlines()
    return len(lines) == 1 and lines[0].startswith("otel-instrument: warning: ")


def refused(result):
    lines = result.stderr.splitlines()
    return len(lines) == 1 and lines[0].startswith("otel-instrument: error: ")


# What the command gets

def test_the_command_is_exec_ed_and_its_result_is_its_own():
    process = subprocess.Popen([LAUNCHER, "sh", "-c", "echo $$; echo oops >&2; exit 7"], env=BASE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == (f"{process.pid}\n", "oops\n", 7)


def test_arguments_and_descriptors_are_handed_on():
    command = ["sh", "-c", 'printf "%s|" "$0" "$@"; ls -l /proc/self/fd | wc -l', "zero", "", "a b", "--", "--strict"]
    plain = subprocess.run(command, env=BASE, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert launch(*command).stdout == plain.stdout
    assert launch("--", *command).stdout == plain.stdout


def test_a_signal_ends_it_as_it_would():
    assert launch("sh", "-c", "kill -TERM $$").returncode == -15


def test_nothing_is_added_but_the_preload():
    plain = subprocess.run(["env"], env=BASE, capture_output=True, text=True)
    ours = env_of(launch("env"))
    assert ours.pop("LD_PRELOAD") == str(PRELOAD)
    assert ours == dict(line.split("=", 1) for line in plain.stdout.splitlines())


@pytest.mark.parametrize("before, after", [
    ("libc.so.6", "libc.so.6:{}"),
    ("libc.so.6 libm.so.6", "libc.so.6 libm.so.6:{}"),
    ("libc.so.6:", "libc.so.6:{}"),
    ("", "{}"),
    ("{}", "{}"),
    ("{}:libm.so.6", "{}:libm.so.6"),
])
def test_an_existing_preload_is_kept_and_ours_stands_there_once(before, after):
    assert env_of(launch("env", env={"LD_PRELOAD": before.format(PRELOAD)}))["LD_PRELOAD"] == after.format(PRELOAD)


def test_nested_launchers_add_it_once():
    assert env_of(launch(LAUNCHER, "--service_name=x", LAUNCHER, "env"))["LD_PRELOAD"] == str(PRELOAD)


@pytest.mark.parametrize("args", [
    ["--service_name", "opt"], ["--service-name", "opt"], ["--service_name=opt"], ["--service-name=opt"],
])
def test_an_option_beats_the_environment(args):
    assert env_of(launch(*args, "env", env={"OTEL_SERVICE_NAME": "env"}))["OTEL_SERVICE_NAME"] == "opt"


def test_the_kill_switch_leaves_everything_alone():
    off = {"OTEL_SDK_DISABLED": "True", "LD_PRELOAD": "libm.so.6"}
    result = launch("env", env=off)
    assert env_of(result) == {**BASE, **off} and result.stderr == ""


# What is asked of the launcher itself

def test_help_and_version():
    for flag in ("--help", "-h"):
        result = launch(flag)
        assert result.returncode == 0 and result.stderr == ""
        assert result.stdout.startswith("Usage: otel-instrument [options] [--] command")
        assert "--exporter_otlp_endpoint" in result.stdout and "default http://localhost:4318" in result.stdout
    assert launch("--version").stdout.startswith("otel-instrument ")


def test_print_env_survives_a_shell():
    name = "it's \"a\" $name `x` \\ \t*"
    printed = launch("--service_name", name, "--print-env")
    assert printed.returncode == 0
    result = subprocess.run(["sh", "-c", f"set -a\n{printed.stdout}\nexec env"], env=BASE, capture_output=True, text=True)
    assert f"OTEL_SERVICE_NAME={name}\n" in result.stdout
    assert f"LD_PRELOAD={PRELOAD}\n" in result.stdout


@pytest.mark.parametrize("args, said", [
    (["--servce_name", "x", "true"], "did you mean --service_name?"),
    (["--service_name"], "needs a value"),
    (["--strict=1", "true"], "takes no value"),
    (["--traces_exporter", "consol", "true"], "did you mean console?"),
    (["--bsp_schedule_delay=-1", "true"], "--bsp_schedule_delay -1: too small"),
    (["--bsp-max-queue-size=0", "true"], "--bsp_max_queue_size 0: too small"),
    ([], "no command given"),
    (["--nonsense\nline\x1b[1m", "true"], "unknown option --nonsense?line?[1m"),
])
def test_a_wrong_option_is_one_line_and_status_2(args, said):
    result = launch(*args)
    assert result.returncode == 2 and result.stdout == "" and refused(result) and said in result.stderr


def test_a_bad_variable_is_one_warning_and_the_run_goes_on():
    bad = {"OTEL_BSP_SCHEDULE_DELAY": "soon"}
    result = launch("echo", "ran", env=bad)
    assert (result.returncode, result.stdout) == (0, "ran\n") and warned(result)
    assert all(word in result.stderr for word in ("OTEL_BSP_SCHEDULE_DELAY", "soon", "5000"))
    result = launch("--strict", "echo", "ran", env=bad)
    assert (result.returncode, result.stdout) == (2, "") and refused(result)
    result = launch("--bsp_schedule_delay=1", "echo", "ran", env=bad)
    assert (result.returncode, result.stdout, result.stderr) == (0, "ran\n", "")


@pytest.mark.parametrize("name, value, said", [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense", "not an http:// or https:// URL"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "without a usable host and port"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[::1", "without a usable host and port"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "token", "key1=value1,key2=value2"),
    ("OTEL_RESOURCE_ATTRIBUTES", "a=b,x", "key1=value1,key2=value2"),
    ("OTEL_INSTRUMENT_HTTP_ROUTES", "/a,b", "begins with /"),
])
def test_a_bad_text_is_said_before_the_run(name, value, said):
    option = "--" + name.replace("OTEL_", "", 1).replace("INSTRUMENT_", "").lower()
    result = launch(option, value, "echo", "ran")
    assert (result.returncode, result.stdout) == (2, "") and refused(result)
    assert option in result.stderr and said in result.stderr
    assert (f" {value}:" in result.stderr) == ("HEADERS" not in name)
    result = launch("echo", "ran", env={name: value})
    assert (result.returncode, result.stdout) == (0, "ran\n") and warned(result) and name in result.stderr
    assert launch("--strict", "echo", "ran", env={name: value}).returncode == 2


def test_a_password_in_an_endpoint_is_not_shown():
    result = launch("--exporter_otlp_endpoint", "ftp://me:pass@there", "echo")
    assert result.returncode == 2 and "exporter_otlp_endpoint" in result.stderr and "pass" not in result.stderr


@pytest.mark.parametrize("name, value", [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "HTTPS://[::1]:4318/x"), ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a=b, c=,"), ("OTEL_RESOURCE_ATTRIBUTES", " k=v , l=m "),
    ("OTEL_INSTRUMENT_HTTP_ROUTES", "/a/{id}, /b,"),
])
def test_a_good_text_is_no_word(name, value):
    assert launch("--" + name.replace("OTEL_", "", 1).replace("INSTRUMENT_", "").lower(), value, "echo").stderr == ""


def test_check_names_the_obstacle(static_program, tmp_path):
    fine = launch("--check", "sh")
    assert fine.returncode == 0 and "can be instrumented" in fine.stdout
    for command, reason in [(static_program, "statically linked"), ("nosuchprogram", "not found"),
                            (tmp_path, "is a directory"), (script(tmp_path / "s", "#!/nowhere\n"), "/nowhere")]:
        result = launch("--check", command)
        assert result.returncode == 1 and reason in result.stdout and len(result.stdout.splitlines()) == 1


# Commands that cannot run, or not under us

@pytest.mark.parametrize("name, status", [("nosuchprogram", 127), ("./nosuchprogram", 127), ("/tmp", 126), ("/etc/passwd", 126)])
def test_exit_status_of_what_cannot_run_is_the_shells(name, status):
    shell = subprocess.run(["sh", "-c", name], env=BASE, capture_output=True, text=True)
    result = launch(name)
    assert result.returncode == status == shell.returncode and refused(result) and name in result.stderr


def test_a_file_without_an_interpreter_is_run_by_the_shell(tmp_path):
    path = script(tmp_path / "plain", 'echo "$0 $1"; exit 4\n')
    result = launch(path, "a b")
    assert (result.returncode, result.stdout, result.stderr) == (4, f"{path} a b\n", "")


def test_garbage_is_refused_like_a_shell_does(tmp_path):
    path = tmp_path / "garbage"
    path.write_bytes(b"\0\1\2\3" * 100)
    path.chmod(0o755)
    result = launch(path)
    assert result.returncode == 126 and refused(result)


def test_the_search_follows_the_path_of_the_environment(tmp_path):
    script(tmp_path / "findme", "#!/bin/sh\necho found\n")
    (tmp_path / "denied").mkdir()
    (tmp_path / "denied" / "findme").write_text("#!/bin/sh\n")
    assert launch("findme", env={"PATH": f"{tmp_path}/denied:{tmp_path}"}).stdout == "found\n"
    assert launch("findme", env={"PATH": f"{tmp_path}/denied"}).returncode == 126
    assert launch("findme", env={"PATH": ""}).returncode == 127
    assert launch("findme", env={"PATH": "/nowhere:"}, cwd=tmp_path).stdout == "found\n"


def test_a_static_program_runs_uninstrumented(static_program):
    result = launch("--service_name=x", static_program)
    assert (result.returncode, result.stdout) == (5, "none\n") and warned(result)
    assert "statically linked" in result.stderr and "uninstrumented" in result.stderr
    result = launch("--strict", static_program)
    assert (result.returncode, result.stdout) == (126, "") and refused(result)


def test_a_script_is_judged_by_its_interpreter(static_program, tmp_path):
    result = launch(script(tmp_path / "s", f"#!{static_program}\n"))
    assert result.returncode == 5 and warned(result) and str(static_program) in result.stderr
    result = launch(script(tmp_path / "fine", "#!/usr/bin/env sh\necho $LD_PRELOAD\n"))
    assert (result.stdout, result.stderr) == (f"{PRELOAD}\n", "")


def test_another_libc(tmp_path):
    result = launch(build(tmp_path / "prog", compiler="musl-gcc"))
    assert (result.returncode, result.stdout) == (5, "none\n") and warned(result) and "musl" in result.stderr


def test_an_asan_program(tmp_path):
    program = build(tmp_path / "prog", "-fsanitize=address")
    result = launch(program, env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert (result.returncode, result.stdout) == (5, "none\n") and warned(result) and "Sanitizer" in result.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a file somebody else's")
def test_a_setuid_program(tmp_path):
    program = build(tmp_path / "prog")
    os.chown(program, 1, 1)
    program.chmod(0o4755)
    tmp_path.chmod(0o755)
    result = launch(program)
    assert (result.returncode, result.stdout) == (5, "none\n") and warned(result) and "setuid" in result.stderr


# Where the launcher lies

def test_without_its_library_it_says_so_and_runs_the_command(tmp_path):
    alone = shutil.copy(LAUNCHER, tmp_path / "otel-instrument")
    result = launch("echo", "ran", launcher=alone)
    assert (result.returncode, result.stdout) == (0, "ran\n") and warned(result) and "missing" in result.stderr
    result = launch("--strict", "echo", "ran", launcher=alone)
    assert (result.returncode, result.stdout) == (126, "") and refused(result)
    assert launch("--check", "echo", launcher=alone).returncode == 1


def test_a_path_that_ld_preload_cannot_hold(tmp_path):
    home = tmp_path / "with blank"
    home.mkdir()
    for file in (LAUNCHER, PRELOAD):
        shutil.copy(file, home)
    result = launch("echo", "ran", launcher=home / "otel-instrument")
    assert (result.returncode, result.stdout) == (0, "ran\n") and warned(result) and "blanks" in result.stderr


def test_installed_and_moved(tmp_path):
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", tmp_path / "stage"],
                   check=True, capture_output=True)
    launcher = next(path for path in (tmp_path / "stage").rglob("otel-instrument") if path.is_file())
    prefix = launcher.parent.parent
    moved = tmp_path / "moved"
    prefix.rename(moved)
    result = launch("env", launcher=moved / "bin" / "otel-instrument")
    library = env_of(result)["LD_PRELOAD"]
    assert library.startswith(f"{moved}/lib") and library.endswith("/otel-instrument/libotel-preload.so")
    assert os.stat(library).st_mode & stat.S_IRUSR and result.stderr == ""
