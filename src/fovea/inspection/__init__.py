"""What a person looks at: the report on prepared data, the preview of what a network will see, and how both are drawn.

Importing it imports nothing heavy.
"""
