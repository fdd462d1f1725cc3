"""Notifications: people who are asked are told, by mail, by Slack, or by what else they read.

One workflow follows each gate (`workflow`), and one each tells owners of events and of approvers
(`alerts`); the worker of the inbox runs them (`worker`) and alone holds the credentials. How they
are started is in `oversight.notifications`. What is pressed in Slack comes back through
`slack_actions`, mail that comes back through `bounces`.
"""
