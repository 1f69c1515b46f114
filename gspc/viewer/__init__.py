"""The viewer in the browser: the files it is made of, a server for them, and pages that are one file.

The files lie in `static`, built from `web` by `make viewer`; see web/README.md.
"""

from gspc.viewer.pages import SCENE, single_page, site, tiled_site
from gspc.viewer.server import HOST, make_server

__all__ = ["HOST", "SCENE", "make_server", "single_page", "site", "tiled_site"]
