"""Tells a PDF's metadata that it is a Factur-X document, which the compiler has no words for.

Done as PDF provides for changes (ISO 32000-1 §7.5.6): the metadata stream is written again behind the file, with a
cross-reference section that points to it. What was there stays as it was, byte for byte.
"""

import re

_ROOT = re.compile(rb"/Root (\d+) 0 R")
_SIZE = re.compile(rb"/Size (\d+)")
_ID = re.compile(rb"/ID\s*\[.*?\]", re.DOTALL)
_INFO = re.compile(rb"/Info \d+ 0 R")
_METADATA = re.compile(rb"/Metadata (\d+) 0 R")
_START = re.compile(rb"startxref\s+(\d+)\s+%%EOF\s*$")
_LENGTH = re.compile(rb"/Length (\d+)")

_DESCRIPTION = """
<rdf:Description rdf:about="" xmlns:fx="urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#">
<fx:DocumentType>INVOICE</fx:DocumentType><fx:DocumentFileName>{file_name}</fx:DocumentFileName>
<fx:Version>1.0</fx:Version><fx:ConformanceLevel>{level}</fx:ConformanceLevel>
</rdf:Description>"""
_SCHEMA = """<rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>
<pdfaSchema:namespaceURI>urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#</pdfaSchema:namespaceURI>
<pdfaSchema:prefix>fx</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq>{properties}</rdf:Seq></pdfaSchema:property>
</rdf:li>"""
_PROPERTY = """<rdf:li rdf:parseType="Resource"><pdfaProperty:name>{name}</pdfaProperty:name>
<pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category>
<pdfaProperty:description>{text}</pdfaProperty:description></rdf:li>"""
_PROPERTIES = {
    "DocumentFileName": "name of the embedded XML invoice file",
    "DocumentType": "INVOICE",
    "Version": "version of the Factur-X XML schema",
    "ConformanceLevel": "conformance level of the embedded Factur-X data",
}


class UnexpectedPdf(ValueError):
    """The file is not built as the compiler builds its files; a newer compiler may build them otherwise."""


def declare_facturx(pdf: bytes, *, file_name: str, level: str) -> bytes:
    """The same document, whose metadata say that the attachment `file_name` is Factur-X of this level.

    Raises `UnexpectedPdf`.
    """
    previous = int(_one(_START, pdf[-64:]))
    trailer = pdf[pdf.rindex(b"trailer") :] if b"trailer" in pdf[previous:] else b""
    if not trailer:
        raise UnexpectedPdf("there is no classic trailer")
    catalog = _object(pdf, int(_one(_ROOT, trailer)))
    number = int(_one(_METADATA, catalog))
    packet = _with_description(_stream(_object(pdf, number)), file_name, level)
    body = b"\n" if not pdf.endswith(b"\n") else b""
    at = len(pdf) + len(body)
    body += b"%d 0 obj\n<<\n  /Type /Metadata\n  /Subtype /XML\n  /Length %d\n>>\nstream\n" % (number, len(packet))
    body += packet + b"\nendstream\nendobj\n"
    table_at = len(pdf) + len(body)
    body += b"xref\n%d 1\n%010d 00000 n \ntrailer\n<<\n" % (number, at)
    body += b"  /Size %s\n  /Root %s 0 R\n" % (_one(_SIZE, trailer), _one(_ROOT, trailer))
    body += b"".join(b"  %s\n" % match[0] for match in (_ID.search(trailer), _INFO.search(trailer)) if match)
    body += b"  /Prev %d\n>>\nstartxref\n%d\n%%%%EOF\n" % (previous, table_at)
    return pdf + body


def _with_description(packet: bytes, file_name: str, level: str) -> bytes:
    text = packet.decode()
    properties = "".join(_PROPERTY.format(name=name, text=text_) for name, text_ in _PROPERTIES.items())
    schema = _SCHEMA.format(properties=properties)
    found = text.find("<pdfaExtension:schemas>")
    if found >= 0:
        # A file has one list of schemas; the compiler has begun it.
        at = text.index("<rdf:Bag>", found) + len("<rdf:Bag>")
        text = text[:at] + schema + text[at:]
        description = ""
    else:
        description = (
            '<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"'
            ' xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#"'
            ' xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#"><pdfaExtension:schemas><rdf:Bag>'
            f"{schema}</rdf:Bag></pdfaExtension:schemas></rdf:Description>"
        )
    end = text.rindex("</rdf:RDF>")
    return f"{text[:end]}{_DESCRIPTION.format(file_name=file_name, level=level)}{description}{text[end:]}".encode()


def _object(pdf: bytes, number: int) -> bytes:
    match = re.search(rb"(?:^|\n)%d 0 obj(.*?)endobj" % number, pdf, re.DOTALL)
    if match is None:
        raise UnexpectedPdf(f"there is no object {number} in the open")
    return match[1]


def _stream(body: bytes) -> bytes:
    if b"/Filter" in body[: body.index(b"stream")]:
        raise UnexpectedPdf("the metadata are compressed")
    start = body.index(b"stream") + len(b"stream")
    start += 2 if body[start : start + 2] == b"\r\n" else 1
    return body[start : start + int(_one(_LENGTH, body))]


def _one(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    match = pattern.search(text)
    if match is None:
        raise UnexpectedPdf(f"nothing fits {pattern.pattern!r}")
    return match[1]
