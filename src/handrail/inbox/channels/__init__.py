"""Messages: people who are asked are told, by mail, by Slack, or by what else they read.

One workflow follows each gate (`flow`), on the worker of the inbox (`post`), which alone holds
the credentials. How it is started is in `oversight.notifications`. What people press in Slack comes
back through `buttons`, mail that comes back through `bounces`.
"""
