"""What the denoiser of the recipe `contrastive_denoiser` minimises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from galaxy_core.losses import darkening_loss, flux_loss, masked_ssim_loss, total_variation_loss

if TYPE_CHECKING:
    from galaxy_core.recipes.contrastive_denoiser import Config


def denoising_losses(
    output: Tensor, clean: Tensor, foreground: Tensor, config: Config, per_galaxy: bool = False
) -> dict[str, Tensor]:
    """The parts of the denoiser's loss, and their weighted sum as ``"loss"``."""
    sky = ~foreground
    parts = {
        "squared_error": (output - clean).square().mean(),
        "ssim": masked_ssim_loss(output, clean, foreground, per_galaxy),
        "flux": flux_loss(output, clean, foreground),
        "total_variation": total_variation_loss(output, sky.expand_as(output)),
        "darkening": darkening_loss(output, sky),
    }
    loss = sum(getattr(config, f"{name}_weight") * value for name, value in parts.items())
    return {"loss": loss, **parts}
