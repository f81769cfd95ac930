"""A crawler on the SDK: follows every link of the pages it is pointed at, one item a page."""

import asyncio
import re

from apify import Actor
from crawlee.crawlers import HttpCrawler, HttpCrawlingContext


async def main() -> None:
    async with Actor:
        crawler = HttpCrawler()

        @crawler.router.default_handler
        async def handle(context: HttpCrawlingContext) -> None:
            page = (await context.http_response.read()).decode()
            links = re.findall(r'href="([^"]+)"', page)
            await context.push_data({"url": context.request.url, "links": len(links)})
            base = context.request.url.rpartition("/")[0]
            await context.add_requests([f"{base}/{link}" for link in links])

        await crawler.run([(await Actor.get_input())["start"]])


asyncio.run(main())
