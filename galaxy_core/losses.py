"""Training losses, one function each, with the paper and equation it comes from.

They take float32 torch tensors and return a scalar that can be differentiated. Images are ``(n, bands, height, width)``
in [0, 1], foregrounds and other masks bool or {0, 1} ``(n, 1, height, width)``, with True where pixels count.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from galaxy_core.masks import LUMINANCE_WEIGHTS

SSIM_SIGMA_PX = 1.5
SSIM_RADIUS_PX = 5  # an 11-pixel window: scikit-image truncates its Gaussian at 3.5 sigma
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


def luminance(images: Tensor) -> Tensor:
    """Rec. 601 luminance, shape (n, 1, height, width), of RGB images (n, 3, height, width)."""
    weights = images.new_tensor(LUMINANCE_WEIGHTS).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def _gaussian_blur(images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    # as two small matrix products, which run (and differentiate) several times faster than one-band convolutions
    return _blur_matrix(height, images) @ images @ _blur_matrix(width, images).T


def _blur_matrix(length: int, like: Tensor) -> Tensor:
    """Matrix (length, length) of the Gaussian window; beyond the edge, pixels repeat mirrored (scipy's "reflect")."""
    offsets = torch.arange(-SSIM_RADIUS_PX, SSIM_RADIUS_PX + 1, device=like.device)
    kernel = torch.exp(-0.5 * (offsets.double() / SSIM_SIGMA_PX) ** 2)
    kernel = (kernel / kernel.sum()).to(like.dtype)
    rows = torch.arange(length, device=like.device).view(-1, 1)
    index = (rows + offsets) % (2 * length)
    columns = torch.where(index < length, index, 2 * length - 1 - index)
    matrix = torch.zeros(length, length, dtype=like.dtype, device=like.device)
    return matrix.scatter_add_(1, columns, kernel.expand(length, -1))


def ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity at every pixel, same shape as the inputs.

    Wang et al. 2004, IEEE TIP 13, 600, eq. 13, with a Gaussian window of 1.5 px, population covariances and data range
    1: the map of ``skimage.metrics.structural_similarity(..., gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=1, full=True)``.
    """
    n = first.shape[0]
    # the two variances are only ever added, and of one image alone no gradient may be wanted
    mean_1, squares, product = _gaussian_blur(torch.cat([first, first**2 + second**2, first * second])).split(n)
    mean_2 = _gaussian_blur(second)
    mean_product, mean_squares = mean_1 * mean_2, mean_1**2 + mean_2**2
    numerator = (2 * mean_product + SSIM_C1) * (2 * (product - mean_product) + SSIM_C2)
    return numerator / ((mean_squares + SSIM_C1) * (squares - mean_squares + SSIM_C2))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` where ``mask`` is True, over the batch; zero where nothing is."""
    mask = mask.to(values.dtype).expand_as(values)
    return (values * mask).sum() / mask.sum().clamp(min=1)


def masked_ssim_loss(output: Tensor, target: Tensor, foreground: Tensor, per_galaxy: bool = False) -> Tensor:
    """One minus the mean SSIM over foreground pixels, on luminance: the strict SSIM, as a loss.

    With ``per_galaxy`` the mean is taken over each galaxy's foreground first and then over those that have any, as the
    strict SSIM is; otherwise over all foreground pixels of the batch.
    """
    ssim = ssim_map(luminance(output), luminance(target))
    if not per_galaxy:
        return 1 - masked_mean(ssim, foreground)
    inside = foreground.to(ssim.dtype)
    area = inside.sum(dim=(1, 2, 3))
    mean = (ssim * inside).sum(dim=(1, 2, 3)) / area.clamp(min=1)
    return 1 - mean[area > 0].sum() / (area > 0).sum().clamp(min=1)


def total_variation_loss(output: Tensor, mask: Tensor) -> Tensor:
    """Anisotropic total variation per pixel inside ``mask``: mean absolute difference of neighbours, both in the mask.

    Rudin, Osher & Fatemi 1992, Physica D 60, 259, eq. 2.4, in its anisotropic form.
    """
    mask = mask.bool()
    down = masked_mean((output[..., 1:, :] - output[..., :-1, :]).abs(), mask[..., 1:, :] & mask[..., :-1, :])
    right = masked_mean((output[..., 1:] - output[..., :-1]).abs(), mask[..., 1:] & mask[..., :-1])
    return down + right


def darkening_loss(output: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute brightness inside ``mask``: the published recipe's pull of the sky towards black."""
    return masked_mean(output.abs(), mask)


def flux_loss(output: Tensor, target: Tensor, foreground: Tensor) -> Tensor:
    """Mean squared relative error of each galaxy's total foreground flux, all bands together."""
    error, known = _relative_flux_error(output, target, foreground)
    return error.square().sum() / known.sum().clamp(min=1)


def flux_bias_loss(output: Tensor, target: Tensor, foreground: Tensor) -> Tensor:
    """Square of the mean relative error of the foreground flux: what all galaxies of a batch have wrong alike."""
    error, known = _relative_flux_error(output, target, foreground)
    return (error.sum() / known.sum().clamp(min=1)).square()


def _relative_flux_error(output: Tensor, target: Tensor, foreground: Tensor) -> tuple[Tensor, Tensor]:
    """Relative error of each galaxy's flux, 0 where there is none, and where there is one."""
    weight = foreground.to(output.dtype)
    truth = (target * weight).sum(dim=(1, 2, 3))
    error = (output * weight).sum(dim=(1, 2, 3)) - truth
    known = truth > 0
    return error / truth.clamp(min=1e-6) * known, known


def nt_xent_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross entropy between two views of ``n`` galaxies.

    Chen et al. 2020 (SimCLR), eq. 1: each of the 2n views must pick its partner among the other 2n - 1.

    Parameters
    ----------
    first, second : Tensor, shape (n, d)
        Projections of the two views; row i of both is the same galaxy. They need not be normalised.
    temperature : float
    """
    n = first.shape[0]
    views = F.normalize(torch.cat([first, second]).float(), dim=1)
    logits = views @ views.T / temperature
    logits.fill_diagonal_(float("-inf"))
    partner = torch.arange(2 * n, device=views.device).roll(n)
    return F.cross_entropy(logits, partner)


def momentum_contrast_loss(
    queries: Tensor, keys: Tensor, queue: Tensor, temperature: float, excluded: Tensor | None = None
) -> Tensor:
    """Each query must pick its own key among that and those in a queue of keys of other galaxies.

    He et al. 2020 (MoCo), eq. 1, averaged over the queries:
    ``L_q = -log(exp(q . k+ / T) / sum_i exp(q . k_i / T))``, where i runs over the own key k+ and the queue.

    Parameters
    ----------
    queries, keys : Tensor, shape (n, d)
        Row i of both is the same galaxy. They need not be normalised; no gradient flows into the keys.
    queue : Tensor, shape (d, n_queue)
        Keys of unit length, one a column.
    temperature : float
    excluded : Tensor of bool, shape (n, n_queue), optional
        Which of the queue do not count against a query: empty places, and earlier keys of the same galaxy.
    """
    queries = F.normalize(queries.float(), dim=1)
    keys = F.normalize(keys.detach().float(), dim=1)
    others = queries @ queue.detach().to(queries.dtype)
    if excluded is not None:
        others = others.masked_fill(excluded, float("-inf"))
    logits = torch.cat([(queries * keys).sum(dim=1, keepdim=True), others], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))
