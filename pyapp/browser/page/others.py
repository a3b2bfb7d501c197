"""The panels that nobody can use before the page takes clicks: attached right after that, or at first need."""

from collections.abc import Callable

from pyapp.browser.page.awake import Awake
from pyapp.browser.page.check import NetworkCheckPanel
from pyapp.browser.page.company import CompanyPanel
from pyapp.browser.page.cost import CostPanel
from pyapp.browser.page.devices import DevicesPanel
from pyapp.browser.page.dom import Dom, Panel
from pyapp.browser.page.insight import InsightPanel
from pyapp.browser.page.invite import InvitePanel
from pyapp.browser.page.log import LogPanel
from pyapp.browser.page.media import MediaPanel
from pyapp.browser.page.path import PathPanel
from pyapp.browser.page.picture import PicturePanel
from pyapp.browser.page.quality import QualityPanel
from pyapp.browser.page.thread import ThreadPanel
from pyapp.browser.page.update import UpdatePanel
from pyapp.core.events import Event


class Others:
    """Attaches them. `diagnostics` returns what the button of the log copies."""

    def __init__(self, dom: Dom, emit: Callable[[Event], None], diagnostics: Callable[[], str]) -> None:
        self.media = MediaPanel(dom, emit)
        self.devices = DevicesPanel(dom, emit)
        self.check = NetworkCheckPanel(dom, emit)
        self.panels: tuple[tuple[str, Panel], ...] = (
            ("status", Awake(dom)),
            ("update", UpdatePanel(dom)),
            ("path", PathPanel(dom)),
            ("quality", QualityPanel(dom)),
            ("cost", CostPanel(dom)),
            ("media", self.media),
            ("media", PicturePanel(dom)),
            ("devices", self.devices),
            ("thread", ThreadPanel(dom, emit)),
            ("company", CompanyPanel(dom)),
            ("invite", InvitePanel(dom, emit)),
            ("check", self.check),
            ("log", LogPanel(dom, diagnostics)),
            ("insight", InsightPanel(dom, emit)),
        )
        """By the part of the view that each shows."""
