"""Reports of a run record: for scripts, for the terminal, and as one self-contained HTML page."""

from spicebridge.report.kinds import headline_text, html_report, summary, text_report

__all__ = ["headline_text", "html_report", "summary", "text_report"]
