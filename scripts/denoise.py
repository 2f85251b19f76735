"""Denoise images with the shipped model: PNG, JPEG, TIFF or FITS in, the denoised image and the residual out.

    python scripts/denoise.py galaxy.fits *.jpg --out denoised/ --json report.json

FITS stays FITS, in its units and with its header and WCS; pictures become PNG, 16-bit grey stays 16-bit. A file that
cannot be read is named in one sentence, the others go on, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts.files import atomic_path, write_json
from galaxy_core.denoising import denoise_image, encode_result
from galaxy_core.embedding import find_model
from galaxy_core.errors import GalaxyError, ImageError
from galaxy_core.images import read_image

ROOT = Path(__file__).resolve().parents[1]


def positive_number(text: str) -> float:
    if not 0 < float(text) < float("inf"):
        raise ValueError(text)
    return float(text)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    summary, _, rest = __doc__.partition("\n\n")
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=style)
    parser.add_argument("inputs", metavar="IN", nargs="+", type=Path, help="image files")
    parser.add_argument("--out", required=True, type=Path, help="folder for <name>_denoised and <name>_residual")
    parser.add_argument("--json", type=Path, help="write noise, units and timing of every file here")
    noise_help = "standard deviation of the sky noise in counts of the file (FITS: its unit); else estimated"
    parser.add_argument("--noise", metavar="SIGMA_COUNTS", type=positive_number, help=noise_help)
    parser.add_argument("--model", default="contrastive_denoiser", help="name of a model under ARTIFACTS/models")
    parser.add_argument("--artifacts", type=Path, default=ROOT / "artifacts", help="where models are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args(arguments)


def denoise_file(path: Path, options: argparse.Namespace, model: object, written: set[str]) -> dict[str, object]:
    """Denoise one file and write what comes out; its entry in the report."""
    image = read_image(path)
    scale = 1.0 if image.linear else float(2**image.bits - 1)  # counts of full scale
    result = denoise_image(image, model, noise_sigma=options.noise and options.noise / scale)
    files = encode_result(result)
    taken = sorted(written & files.keys())
    if taken:
        raise ImageError(f"{path} would replace {taken[0]} of another input of this run; rename one of the two.")
    for name, data in files.items():
        with atomic_path(options.out / name) as temporary:
            temporary.write_bytes(data)
        written.add(name)
    written = str((image.header or {}).get("BUNIT", "")).strip() or "image units"
    unit = written if image.linear else f"counts of {scale:.0f}"
    noise = result.noise_sigma * scale
    print(f"{path} -> {options.out / next(iter(files))}  sky noise {noise:.3g} {unit}, {result.seconds:.1f} s")
    return {
        "input": str(path),
        "outputs": [str(options.out / name) for name in files],
        "noise_sigma": noise,
        "noise_unit": unit,
        "noise_estimated": not result.noise_given,
        "shape": list(result.image.shape),
        "linear": result.linear,
        "model": result.model_name,
        "seconds": round(result.seconds, 3),
    }


def denoise_all(options: argparse.Namespace) -> int:
    from galaxy_core.models import load_model, resolve_device

    model = load_model(find_model(options.model, options.artifacts)).to(resolve_device(options.device))
    entries, written = [], set()
    for path in options.inputs:
        try:
            entries.append(denoise_file(path, options, model, written))
        except GalaxyError as error:
            print(error, file=sys.stderr)
            entries.append({"input": str(path), "error": str(error)})
    if options.json:
        write_json(options.json, {"files": entries})
    return 1 if any("error" in entry for entry in entries) else 0


def main() -> int:
    options = parse()
    try:
        return denoise_all(options)
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
