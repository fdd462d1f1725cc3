"""Messages: people who are asked are told, by mail, by Slack, or by what else they read.

One workflow follows each gate (`handrail.messages.flow`), on the worker of the inbox, which
alone holds the credentials. What the engine needs to start it is here; it is light.
"""

from handrail.messages.wire import BOUNCED, LOOK, QUEUE, WORKFLOW, Call, message_id

__all__ = ["BOUNCED", "LOOK", "QUEUE", "WORKFLOW", "Call", "message_id"]
