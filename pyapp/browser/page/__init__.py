"""The document in front of the person: a list of panels, one for each part of the view."""
