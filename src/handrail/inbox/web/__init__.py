"""The pages of the inbox, made by the server."""
