"""What pyHanko says of every signature in a PDF: whether it covers its revision, and the level of later changes.

Exit 1 on a suspicious one. pyHanko knows neither SM2 nor private SubFilters, so the values inside are not judged here.
"""
import sys

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, ModificationLevel, SuspiciousModification


def signed_fields(fields):
    for field in fields:
        field = field.get_object()
        if field.get("/FT") == "/Sig" and "/V" in field:
            yield field
        yield from signed_fields(field["/Kids"] if "/Kids" in field else [])


with open(sys.argv[1], "rb") as file:
    raw = file.read()
    reader = PdfFileReader(file, strict=False)
    bad = count = 0
    for field in signed_fields(reader.root["/AcroForm"]["/Fields"]):
        count += 1
        zero, gap, after, length = (int(number) for number in field["/V"]["/ByteRange"])
        covers = zero == 0 and raw[gap : gap + 1] == b"<" and raw[after - 1 : after] == b">"
        bytes.fromhex(raw[gap + 1 : after - 1].decode())
        level = "-"
        if after + length < len(raw):
            revision = reader.xrefs.get_introducing_revision(field.raw_get("/V").reference)
            result = DEFAULT_DIFF_POLICY.review_file(reader, revision)
            if isinstance(result, SuspiciousModification):
                level, bad = f"suspicious: {result}", bad + 1
            else:
                level = result.modification_level.name
                bad += result.modification_level > ModificationLevel.FORM_FILLING
        bad += not covers
        print(field["/T"], "covers" if covers else "does not cover", level)
    sys.exit(bool(bad or not count))
