"""Installation: the wheel is complete, the lock file can be had without CUDA, and containers use what exists."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from mimbench.core.extras import EXTRAS, how_to_install

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = ROOT / "tools" / "lock.py"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = out.glob("*.whl")
    return path


def files_below(folder: Path) -> set[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name for name in found if "__pycache__" not in name and not name.endswith(".pyc")}


def test_the_wheel_has_package_configuration_data_and_template(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for prefix, folder in (
        ("mimbench/", ROOT / "src" / "mimbench"),
        ("hydra_plugins/", ROOT / "src" / "hydra_plugins"),
        ("mimbench/conf/", ROOT / "conf"),
        ("mimbench/template/", ROOT / "template"),
    ):
        assert {prefix + name for name in files_below(folder)} - names == set()
    assert {"mimbench/data/sources/fashion.xz", "mimbench/reporting/published.yaml"} <= names


def test_an_installed_wheel_composes_and_makes_projects(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    for words in (["new-project", "my-mim"], ["run", "--cfg", "job", "method=mae", "data=fashion"]):
        command = [sys.executable, "-P", "-m", "mimbench", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "mimbench.methods.MAE" in done.stdout
    assert (tmp_path / "my-mim" / "my_mim" / "methods.py").is_file()


def lock_part(part: str) -> str:
    command = [sys.executable, str(LOCK), part, str(ROOT / "requirements-core.lock")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_lock_file_without_cuda_lacks_pytorch_and_nvidia_and_nothing_else() -> None:
    lock = (ROOT / "requirements-core.lock").read_text()
    names = set(re.findall(r"^([\w.-]+)==", lock, flags=re.MULTILINE))
    rest = lock_part("without-cuda")
    left_out = names - set(re.findall(r"^([\w.-]+)==", rest, flags=re.MULTILINE))
    assert {"torch", "torchvision", "triton"} < left_out
    assert all(name.startswith(("nvidia-", "cuda-")) for name in left_out - {"torch", "torchvision", "triton"})
    for requirement in re.findall(r"^[\w.-]+==[^\n]*\n(?:    [^\n]*\n)*", rest, flags=re.MULTILINE):
        assert requirement in lock
        assert "--hash=sha256:" in requirement


def test_pytorch_and_constraints_have_versions_without_hashes() -> None:
    assert [line.split("==")[0] for line in lock_part("torch").splitlines()] == ["torch", "torchvision"]
    constraints = lock_part("constraints").splitlines()
    lock = (ROOT / "requirements-core.lock").read_text()
    assert len(constraints) == len(re.findall(r"^[\w.-]+==", lock, flags=re.MULTILINE))
    assert not [line for line in constraints if "--hash" in line or line.endswith("\\")]


def dry_run(*words: str) -> str:
    command = ["make", "--dry-run", *words]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_make_install_says_the_size_of_the_download_before_it_begins(tmp_path: Path) -> None:
    for torch, size in (("cuda", "3 GB"), ("cpu", "0.5 GB")):
        printed = dry_run("install", f"TORCH={torch}", "EXTRAS=hub slurm", f"BIN={tmp_path}", "-W", "pyproject.toml")
        branch = re.split(rf"\b{torch}\) (?:echo|if)", printed)[1].partition(";;")[0]
        assert f"downloads about {size}" in branch.partition("pip install")[0]
        assert ".[hub,slurm]" in printed
    assert "without-cuda.txt" in branch


def test_torch_without_cuda_needs_the_address_of_its_index(tmp_path: Path) -> None:
    words = ["make", "install", "TORCH=cpu", f"BIN={tmp_path}", "-o", ".venv/bin/python", "-W", "pyproject.toml"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "TORCH=cpu needs TORCH_INDEX=URL" in ended.stderr


def test_messages_about_extras_name_real_ones_and_no_package_index() -> None:
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"]) - {"dev", "docs"}
    message = how_to_install("hub")
    assert "make install EXTRAS=hub" in message
    assert "'mimbench[hub] @ ADDRESS'" in message
    places = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "conf").rglob("*.yaml")]
    places += [ROOT / "README.md", *(ROOT / "notebooks").glob("*.ipynb")]
    index = re.compile(r"pip install (?:--\S+ )*['\"]?mimbench(?!(?:\[[\w{}]+\])? @ )")
    assert [str(path) for path in places if index.search(path.read_text())] == []


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile with their arguments on one line."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_dockerfile_uses_targets_and_commands_that_exist() -> None:
    found = instructions()
    known = {"FROM", "ARG", "RUN", "COPY", "ENV", "WORKDIR", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in found} <= known
    runs = " ; ".join(rest for word, rest in found if word == "RUN")
    targets = re.findall(r"\bmake ([a-z-]+)((?: \w+=\"\$\w+\")*)", runs)
    assert [name for name, _ in targets] == ["install"]
    variables = re.findall(r"(\w+)=\"\$(\w+)\"", targets[0][1])
    makefile, declared = (ROOT / "Makefile").read_text(), [rest.partition("=")[0] for w, rest in found if w == "ARG"]
    for variable, argument in variables:
        assert f"{variable} ?=" in makefile
        assert argument in declared
    [entry] = [rest for word, rest in found if word == "ENTRYPOINT"]
    assert yaml.safe_load(entry)[0] in PROJECT["scripts"]
    python = re.search(r"FROM python:(\d+\.\d+)", (ROOT / "Dockerfile").read_text())
    assert python is not None
    assert f"Programming Language :: Python :: {python[1]}" in PROJECT["classifiers"]


def test_compose_services_build_the_dockerfile_with_its_arguments() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert set(services) == {"cpu", "cuda"}
    declared = {rest.partition("=")[0] for word, rest in instructions() if word == "ARG"}
    for name, service in services.items():
        assert set(service["build"]["args"]) <= declared
        assert service["build"]["args"]["TORCH"] == name
    assert services["cuda"]["deploy"]["resources"]["reservations"]["devices"][0]["driver"] == "nvidia"


def test_what_docker_leaves_out_is_not_needed_by_the_installation() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    needed = {"pyproject.toml", "Makefile", "requirements-core.lock", "requirements.lock", "README.md", "LICENSE"}
    assert (needed | {"src", "conf", "template", "tools"}).isdisjoint(ignored)
