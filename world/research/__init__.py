"""A folder of invoices as PDFs, each with its truth inside (Factur-X), made from a seed.

The agent reads the text of a page; the XML embedded in it is what answers are judged by.
"""
