"""Dashboards on this machine: a store with a night's metrics, each panel's query asked, and pictures of the answers."""
