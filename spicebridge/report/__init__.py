"""Reports of a run record: for scripts, for the terminal, and as one self-contained HTML page."""

from spicebridge.report.page import html_report
from spicebridge.report.summary import summary
from spicebridge.report.text import text_report

__all__ = ["html_report", "summary", "text_report"]
