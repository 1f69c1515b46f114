"""`gspc eval --report`: what an evaluation found as one page that needs nothing else."""

from gspc.pipeline.report.album import Album
from gspc.pipeline.report.page import report_page

__all__ = ["Album", "report_page"]
