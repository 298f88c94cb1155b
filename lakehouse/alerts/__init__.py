"""Alerts: what is wrong with the lake now (`problems`), what of it is news (`news`), how it is told (`channels`), and the sensor that asks (`sensor`).

Not here: finding out what is wrong with data (`quality`), or with the installation (`cli.doctor`).
"""
