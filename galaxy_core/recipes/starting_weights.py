"""What the encoder of a residual network begins with: another model's weights, those of ImageNet, or chance."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from galaxy_core.errors import ModelError
from galaxy_core.fetching import FetchError, RemoteFile, fetch_file
from galaxy_core.model_files import section
from galaxy_core.models import load_model, read_model_config
from galaxy_core.models.resnet import GalaxyResNet, ResNetEncoder

Report = Callable[[str, int, int, dict], None]
MEGABYTE, TIMEOUT_S, N_TRIES = 1_000_000, 20, 3
SCRATCH = "Training begins from scratch, without ImageNet weights"
PUBLISHED_WIDTH = 64
LABEL_COUNTS = ("n_train_with_class", "n_train_with_votes")  # in the record of what learned from labels
READOUT = ("centre", "axes")  # set anew by each recipe
HUGGING_FACE = "https://huggingface.co"
_PATH = "timm/resnet{depth}.a1_in1k/resolve/{revision}/model.safetensors"

# "ResNet strikes back" (Wightman, Touvron & Jegou 2021, arXiv:2110.00476), as timm publishes it under Apache 2.0
IMAGENET = {
    18: (
        "ebd61f9c7420e5b5b53262b8ce6bbe311e1e872a",
        "80c49dee3da4822c009c5a7fe591e9223c5a2cfcf95a4067ca4dfb5a7b89c612",
    ),
    34: (
        "0e8757122c4c09b15fb9300c0fd09b3fe89e28bf",
        "829a220f9529d2b1ffdc8719d3273463001e0daf411eaf1916865d9db62c0ed2",
    ),
}


def take_encoder(model: GalaxyResNet, start_from: str | Path) -> None:
    """Copy the encoder of a finished model into ``model``, but for how it reads its embedding from the features.

    Raises
    ------
    ModelError
        If it is not a residual network of the same sizes.
    """
    old = load_model(start_from)
    if not isinstance(old, GalaxyResNet):
        raise ModelError(f"{start_from} holds a {old.name}; start from a residual network, as moco trains one.")
    sizes = ("depth", "width", "stem_kernel_px", "stem_stride", "stem_pool")
    wrong = [name for name in sizes if getattr(old.config, name) != getattr(model.config, name)]
    if wrong:
        told = " ".join(f"model.{name}={getattr(old.config, name)}" for name in wrong)
        raise ModelError(f"The network of {start_from} has other sizes; add --set {told}.")
    taken = {key: value for key, value in old.encoder.state_dict().items() if key not in READOUT}
    model.encoder.load_state_dict(taken, strict=False)


def origin_of(start_from: str | Path | None) -> dict:
    """What a model's record says of the model it was started from; empty where it was none."""
    if start_from is None:
        return {}
    before = read_model_config(start_from)
    kept = {key: before.get(key) for key in ("model", "weights_sha256", "about")}
    return {"started_from": {"folder": Path(start_from).absolute().name, **kept}}


def begun_with_labels(record: dict) -> bool:
    """Whether a model was started from one that learned from labels, or taught by one, by their ``config.json``."""
    about = section(record, "about")
    before = [section(about, origin) for origin in ("started_from", "taught_by") if origin in about]
    return any(
        any(section(earlier, "about").get(count) for count in LABEL_COUNTS) or begun_with_labels(earlier)
        for earlier in before
    )


def imagenet_file(depth: int) -> RemoteFile:
    """Weights of a network of that depth on Hugging Face; ``HF_ENDPOINT`` in the environment names a mirror."""
    revision, sha256 = IMAGENET[depth]
    url = f"{os.environ.get('HF_ENDPOINT') or HUGGING_FACE}/{_PATH.format(depth=depth, revision=revision)}"
    return RemoteFile(url, f"resnet{depth}.a1_in1k.safetensors", checksum=f"sha256:{sha256}")


def begin_with_imagenet(model: GalaxyResNet, folder: Path, report: Report | None = None) -> tuple[bool, str]:
    """Load ImageNet weights into the encoder of ``model``, downloaded once into ``folder``.

    Without a network, or where the weights do not fit, the encoder stays as it is.

    Parameters
    ----------
    report : callable, optional
        ``report("fetch", n_done, n_all, {})`` after every megabyte.

    Returns
    -------
    bool
        Whether they were loaded.
    str
        One sentence that says so, or why not.
    """
    depth, width, shown = model.config.depth, model.config.width, 0
    if width != PUBLISHED_WIDTH:
        return False, f"{SCRATCH}: they are of a network of width {PUBLISHED_WIDTH}, and this one has width {width}."

    def progress(done: int, total: int | None) -> None:
        nonlocal shown
        if report and total and done // MEGABYTE > shown:
            shown = done // MEGABYTE
            report("fetch", shown, total // MEGABYTE, {})

    remote = imagenet_file(depth)
    try:
        fetch_file(remote, folder, progress, timeout_s=TIMEOUT_S, n_tries=N_TRIES)
        left = load_imagenet(model.encoder, folder / remote.path)
    except (FetchError, ModelError) as error:
        return False, f"{SCRATCH}: {error}"
    told = f", but for {', '.join(left)}, which has another shape here" if left else ""
    return True, f"Training begins with the ImageNet weights of timm/resnet{depth}.a1_in1k{told}."


def load_imagenet(encoder: ResNetEncoder, path: Path) -> list[str]:
    """Copy what fits of a safetensors file with torchvision's names into ``encoder``; nothing is ever unpickled.

    Returns
    -------
    list of str
        Tensors that were left as they are: the first convolution, if the stem is not the published one.
    """
    try:
        published = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a file of weights; delete it and run the same command again.") from error
    own = {key: value for key, value in encoder.state_dict().items() if key not in READOUT}
    missing = [key for key in own if key not in published and not key.endswith("num_batches_tracked")]
    left = [key for key in own if key in published and published[key].shape != own[key].shape]
    if missing or set(left) - {"conv1.weight"}:
        raise ModelError(f"{path} is of a network with other layers ({(missing or left)[0]}); delete it.")
    taken = {key: value for key, value in published.items() if key in own and key not in left}
    encoder.load_state_dict(taken, strict=False)
    return left
