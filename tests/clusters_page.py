"""What tests do with the page of clusters: read its words, and give a catalog other clusters."""

from __future__ import annotations

import numpy as np

from galaxy_core import artifacts
from pages.views import readers

PAGE = "pages/2_Clusters.py"


def text_of(app) -> str:
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error, app.subheader, app.code)
    html = [element.proto.body for element in app.get("html")]
    return "\n".join([*(str(element.value) for kind in kinds for element in kind), *html])


def relabel(root, clusterings: dict[str, np.ndarray], name: str = "tiny") -> readers.Galaxies:
    """Replace the clusterings of a small catalog by others."""
    manifest, table = artifacts.read_manifest(root, name), artifacts.read_table(root, name, "clusters")[["galaxy_id"]]
    for clustering, labels in clusterings.items():
        table[f"{clustering}_label"] = np.asarray(labels, dtype=np.int32)
        table[f"{clustering}_membership"] = np.linspace(0, 1, len(labels), dtype=np.float32)
        table[f"{clustering}_silhouette"] = np.zeros(len(labels), dtype=np.float32)
    about = {clustering: {"method": "hdbscan", "space": "pca_20", "params": {}} for clustering in clusterings}
    artifacts.write_table(root, name, "clusters", table)
    artifacts.write_manifest(root, name, artifacts.Manifest.from_dict(manifest.to_dict() | {"clusterings": about}))
    return readers.open_catalog(root, name)
