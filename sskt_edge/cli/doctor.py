"""sskt-edge doctor: describe this machine, what is installed, what each verb can do, and what to install."""

from __future__ import annotations

from sskt_edge.cli.output import JsonFlag, show_json


def doctor(json_: JsonFlag = False) -> None:
    """Show this machine, its software, and what each verb can do."""
    from sskt_edge.cli.doctor_tables import show_machine
    from sskt_edge.doctor.machine import look
    from sskt_edge.doctor.readiness import install_command, verbs
    from sskt_edge.doctor.warnings import warnings

    machine = look()
    readiness, command, problems = verbs(machine), install_command(machine), warnings(machine)
    if json_:
        show_json({**machine.as_json(), "verbs": readiness, "install": command or None, "warnings": problems})
    else:
        show_machine(machine, readiness, command, problems)
