"""The gate's results as JUnit XML, which build servers show: a suite a table, a case a check."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from validation.checks import Severity
from validation.summary import Summary


def write(results: Sequence[Summary], path: Path, *, warnings_fail: bool) -> Path:
    """Write the results and return the path.

    Args:
        warnings_fail: whether a check of severity ``warn`` that rows failed is a failure.
    """
    root = ElementTree.Element("testsuites", name="coldstart validate")
    for result in results:
        root.append(_suite(result, warnings_fail))
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path


def _suite(result: Summary, warnings_fail: bool) -> ElementTree.Element:
    names = [
        entry["expectation_config"]["meta"]["name"]
        for run in result.validation.values()
        for entry in run["results"]
    ]
    failing = {
        name
        for name, severity in result.severities.items()
        if warnings_fail or severity == Severity.BLOCK
    }
    suite = ElementTree.Element(
        "testsuite",
        name=result.table,
        tests=str(len(names)),
        failures=str(len(failing)),
        timestamp=result.checked_at.isoformat(),
    )
    for name in names:
        case = ElementTree.SubElement(suite, "testcase", classname=result.table, name=name)
        if name in result.severities:
            tag = "failure" if name in failing else "system-out"
            _tell(ElementTree.SubElement(case, tag), name, result)
    return suite


def _tell(element: ElementTree.Element, name: str, result: Summary) -> None:
    rows = result.reason_counts[name]
    if element.tag == "failure":
        element.set("message", f"{rows} of {result.received} rows")
        element.set("type", result.severities[name])
    element.text = _printable("\n".join(result.sentences[name]))


def _printable(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")
