"""The outside systems that the demo and the tests talk to.

Each is its own process, and an agent knows it only over HTTP, SMTP or CalDAV. Here are those of the
shipments agent: the carrier's booking service (``python -m world.bookings``) and a mail server
(``python -m world.mailbox``); those of the other agents are packages of their own names. The
flights are real (see SOURCE.md); consignments, prices and free capacity are generated.
Nothing here is part of the Handrail package, and nothing here knows of it.
"""
