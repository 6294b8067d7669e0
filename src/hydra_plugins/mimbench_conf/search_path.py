"""Hydra's door to `mimbench.experiments.plugins`: config groups from outside mimbench."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from mimbench.experiments.plugins import plugins


class PluginSearchPath(SearchPathPlugin):
    """Adds the configuration folders of plugins to every composition, after mimbench's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for plugin in plugins():
            search_path.append(plugin.name, plugin.conf.as_uri())
