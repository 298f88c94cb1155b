"""The one Spark application: jars, start and stop, client sessions, and the only writers of Delta tables.

Here belongs what knows about Java, processes, ports, Spark configuration and Delta commits. Not here: what is read, built or checked.
"""
