"""Public releases that can be fetched: where they are, under what licence, and which layout they have once here."""

from __future__ import annotations

import json
import os
import urllib.request
from dataclasses import dataclass

from galaxy_core.fetching import USER_AGENT, FetchError, RemoteFile

GALAXY_ZOO_LICENSE = (
    "CC BY-NC-SA 4.0 (Galaxy Zoo; no commercial use). Its authors also require that models trained on it are "
    "published with their source code."
)


@dataclass(frozen=True)
class Release:
    """One public release.

    Attributes
    ----------
    title, license, cite : str
    layout : str
        The reader's name.
    dataset : str
        Hugging Face dataset, or "".
    zenodo : str
        Zenodo record, or "".
    extra : tuple of RemoteFile
        Files that lie elsewhere.
    """

    title: str
    layout: str
    license: str
    cite: str
    dataset: str = ""
    zenodo: str = ""
    extra: tuple[RemoteFile, ...] = ()


def _galaxy_zoo(title: str, dataset: str, cite: str) -> Release:
    return Release(title, "galaxy-zoo", GALAXY_ZOO_LICENSE, cite, dataset=f"mwalmsley/{dataset}")


RELEASES: dict[str, Release] = {
    "gz_hubble": _galaxy_zoo("Galaxy Zoo Hubble", "gz_hubble", "Willett et al. 2017, MNRAS 464, 4176"),
    "gz_candels": _galaxy_zoo("Galaxy Zoo CANDELS", "gz_candels", "Simmons et al. 2017, MNRAS 464, 4420"),
    "gz_desi": _galaxy_zoo(
        "Galaxy Zoo DESI, with the DECaLS campaigns", "gz_desi", "Walmsley et al. 2023, MNRAS 526, 4768"
    ),
    "gz2": _galaxy_zoo("Galaxy Zoo 2", "gz2", "Willett et al. 2013, MNRAS 435, 2835"),
    "gz2_original": Release(
        title="Galaxy Zoo 2, original images and the votes of Hart et al. 2016",
        layout="gz2",
        license="CC BY 4.0 (images, Zenodo 3565489); votes are public at data.galaxyzoo.org, cite the papers.",
        cite="Willett et al. 2013, MNRAS 435, 2835; Hart et al. 2016, MNRAS 461, 3663",
        zenodo="3565489",
        extra=(RemoteFile("https://gz2hart.s3.amazonaws.com/gz2_hart16.csv.gz", "gz2_hart16.csv.gz"),),
    ),
}
SIZES = ("tiny", "full")


def list_files(name: str, size: str) -> list[RemoteFile]:
    """Files of a release, with sizes and checksums as the archive states them today.

    ``HF_ENDPOINT`` and ``ZENODO_ENDPOINT`` in the environment name mirrors.

    Parameters
    ----------
    name : str
        Key of `RELEASES`.
    size : {"tiny", "full"}

    Raises
    ------
    FetchError
    """
    if name not in RELEASES:
        raise FetchError(f"There is no release '{name}'; choose one of {', '.join(RELEASES)}.")
    release = RELEASES[name]
    if size not in SIZES:
        raise FetchError(f"There is no size '{size}'; choose tiny or full.")
    if release.dataset:
        return _hugging_face_files(release.dataset, "tiny" if size == "tiny" else "data")
    if size == "tiny":
        raise FetchError(f"{name} comes only in full; for a quick look, fetch gz2 with --size tiny.")
    return [*release.extra, *_zenodo_files(release.zenodo)]


def _hugging_face_files(dataset: str, folder: str) -> list[RemoteFile]:
    # imported here: it takes half a second, and nothing else needs it
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        info = HfApi(endpoint=endpoint).dataset_info(dataset, files_metadata=True, timeout=60)
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403, 404):
            raise FetchError(f"Hugging Face has no dataset {dataset} open to the public; choose another.") from error
        raise FetchError(_offline(f"Hugging Face ({dataset})", error)) from error
    except (OSError, ValueError) as error:
        raise FetchError(_offline(f"Hugging Face ({dataset})", error)) from error
    except Exception as error:  # the HTTP library's own family, whose name changes; all else goes on below
        if not type(error).__module__.startswith(("httpx", "httpcore")):
            raise
        raise FetchError(_offline(f"Hugging Face ({dataset})", error)) from error
    files = [
        RemoteFile(
            url=hf_hub_url(dataset, entry.rfilename, repo_type="dataset", revision=info.sha, endpoint=endpoint),
            path=entry.rfilename,
            n_bytes=entry.size,
            checksum=f"sha256:{entry.lfs.sha256}" if entry.lfs else "",
        )
        for entry in info.siblings or []
        if entry.rfilename.startswith(f"{folder}/") and entry.rfilename.endswith(".parquet")
    ]
    if not files:
        raise FetchError(
            f"Hugging Face lists no Parquet file in {folder}/ of {dataset}; choose another size or release."
        )
    return files


def _zenodo_files(record: str) -> list[RemoteFile]:
    endpoint = os.environ.get("ZENODO_ENDPOINT") or "https://zenodo.org"
    request = urllib.request.Request(f"{endpoint}/api/records/{record}", headers={"User-Agent": USER_AGENT})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            files = json.load(response)["files"]
        return [
            RemoteFile(f"{endpoint}/records/{record}/files/{file['key']}", file["key"], file["size"], file["checksum"])
            for file in files
            if file["key"].endswith((".csv", ".zip"))
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FetchError(_offline(f"Zenodo (record {record})", error)) from error


def _offline(what: str, error: Exception) -> str:
    reason = (str(getattr(error, "reason", "") or error) or type(error).__name__).splitlines()[0].rstrip(".")
    return f"{what} does not say which files it has ({reason}); check the network and run the same command again."
