"""`scripts/cluster.py` as it is called: what is no command, and what its help says."""

from __future__ import annotations

import pytest

from galaxy_core.clustering import METHODS, parameters_of
from scripts import cluster


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "--method is needed"),
        (["--remove"], "--remove needs --name"),
        (["--method", "kmeans", "--seed", "-1"], "cannot be negative"),
        (["--method", "kmeans", "--seed", "4294967296"], "--seed takes numbers up to 4,294,967,295"),
        (["--method", "kmeans", "--sweep", "n_clusters=2..4", "--null"], "--redraws, --null and --remove"),
        (["--name", "kmeans_3", "--sweep", "n_clusters=2..4", "--remove"], "--redraws, --null and --remove"),
        (["--method", "kmeans", "--sweep", "n_clusters=2..4", "--fit-limit", "9"], "takes no --fit-limit"),
        (["--method", "kmeans", "--sweep", "n_clusters=2..4", "--redraws"], "none of --name, --stability, --redraws"),
        (["--method", "kmeans", "--sweep", "n_clusters=2..4", "--name", "mine"], "none of --name, --stability"),
        (["--method", "kmeans", "--redraws", "-2"], "cannot be negative"),
        (["--method", "kmeans", "--param", "n_clusters"], "--param takes KEY=VALUE"),
        (["--method", "magic"], "invalid choice"),
    ],
)
def test_wrong_usage(capsys, words, expected):
    with pytest.raises(SystemExit) as stopped:
        cluster.parse(["demo", *words])
    assert stopped.value.code == 2 and expected in capsys.readouterr().err


def test_help_names_every_method_and_its_parameters(capsys):
    with pytest.raises(SystemExit):
        cluster.parse(["--help"])
    said = capsys.readouterr().out
    assert tuple(METHODS) == cluster.METHODS
    assert all(name in said for method in METHODS for name in (method, *parameters_of(METHODS[method])))
