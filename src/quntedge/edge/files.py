"""Files as answers: named, never guessed at, never kept by anybody in between."""

from typing import Any

from starlette.responses import Response

from quntedge.invoices.library import PdfFile

PDF: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""How a route describes that it answers with a PDF."""


def download(file: PdfFile) -> Response:
    """The file, to be saved under its own name."""
    return Response(
        file.content,
        media_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "private, no-store"},
    )
