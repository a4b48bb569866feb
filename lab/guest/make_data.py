# SPDX-License-Identifier: Apache-2.0
"""Write the company's invented business data: about 160 small text files, the same from the same seed."""

import random
import sys
from pathlib import Path

SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"
GOODS = ["轴承", "齿轮", "联轴器", "油封", "链条", "电机", "减速机", "皮带"]


def main(root: Path) -> None:
    """Make invoices, contracts, payroll and customer lists under root."""
    rng = random.Random(20260302)
    for year in (2024, 2025):
        for month in range(1, 13):
            folder = root / "invoices" / f"{year}-{month:02d}"
            folder.mkdir(parents=True, exist_ok=True)
            for n in range(1, 6):
                rows = "".join(
                    f"{rng.choice(GOODS)},{rng.randint(1, 40)},{rng.randint(10, 900)}.00\n"
                    for _ in range(rng.randint(8, 24))
                )
                (folder / f"INV-{year}{month:02d}-{n:03d}.csv").write_text("品名,数量,单价\n" + rows, "utf-8")
    contracts = root / "contracts"
    contracts.mkdir(parents=True, exist_ok=True)
    for n in range(1, 25):
        who = rng.choice(SURNAMES) + "某"
        text = f"合同编号 HT-2025-{n:03d}\n甲方 示例商贸有限公司\n乙方 {who}\n标的 {rng.choice(GOODS)}\n" * 6
        (contracts / f"HT-2025-{n:03d}.txt").write_text(text, "utf-8")
    people = root / "payroll"
    people.mkdir(parents=True, exist_ok=True)
    for month in range(1, 13):
        rows = "".join(f"{rng.choice(SURNAMES)}某,{rng.randint(60, 190)}00\n" for _ in range(20))
        (people / f"2025-{month:02d}.csv").write_text("姓名,实发\n" + rows, "utf-8")
    rows = "".join(f"C{n:04d},{rng.choice(SURNAMES)}某,{rng.choice(GOODS)}\n" for n in range(1, 200))
    (root / "customers.csv").write_text("编号,联系人,主购\n" + rows, "utf-8")


main(Path(sys.argv[1]))
