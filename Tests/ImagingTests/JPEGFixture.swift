// Small JPEG files made by Pillow 13 (libjpeg-turbo), each with the pixels that `Image.open(file).convert("RGB")` gives, base64.

struct JPEGFixture: Sendable {
    let name: String
    let file: String
    let pixels: String

    static let width = 19
    static let height = 21

    static let all: [JPEGFixture] = [
        JPEGFixture(
            name: "baseline444",
            file: """
                /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQME\
                BAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAVABMDAREAAhEBAxEB/8QAHwAAAQUBAQEBAQEA\
                AAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6\
                Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx\
                8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAV\
                YnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPE\
                xcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwD5q0fwSdy/u/0r0OI+MKntJe8eBw7iVaJ6Z4W8Encn7v8ASvzCPGNT2nxH9IZHiVZH\
                qdp4JP2aP932r7GjxhU9mveP1ylifcWpR0f4cncv7r9K/D+I8ZU9pLU/zZ4dx6tHU9M8LfDk7k/dfpX5gsZU9puf0hkePWmp5Z8QPBR1Xxnq832byts5g25znywI89O+\
                3OO2a/o/JK9Sjl1GN76X+/X9T+RuOs+WY8S46ty8tpuFr3/hpU77Lflvbpe13a5g6P8AtvWO5f8Ai3//AJWP/uev0DiPwnh7SX+2f+U//tz9t4d8Kqlo/wC3/wDlP/7o\
                emeFv23rEMn/ABb/AP8AKx/9z1+YLwnh7T/fP/Kf/wBuf0hkfhVU0/2//wAp/wD3Q8GtP23rIW0f/Fvu3/QY/wDuev6ko+E8PZr/AGz/AMp//bn8DUvCqpyL/b//ACn/\
                APdD/9k=
                """,
            pixels: """
                ACmwCSmiGimQJyiCMSh5PSlxTShrWChkZShhcClhgChijillmidopydytih+vyiF0yeT3iif6SquATOkDzKWHjOEKzJ2NjJtQzJmUjNdXzNXazJVdjNWhDJWkzNYoDNd\
                rDJlujJwxDJ51DCG3jOT6TOhBj6REz6DIj5wLz1gOj5ZRz5RVT1KYj1EcD5Bej5AiT5Clz5Eoz1IsT1Svz5dyT5l1z9y4UGB7EGPCEl/FUlxJUheMklPPUlHSUlBWEg4\
                ZEgyckgvfEkui0kvmUkypUg2s0hAwUlLy0lT2kpj5Utv70t9C1R0F1RmKFRTNVRFQFM9TVQ1XFQtZ1UndVUkf1Ujj1UlnVQnqVQrt1Q1xFRAz1VI3lNW6FRi9FVxDV9q\
                GWBcKmBJN188Ql8zTl8rXl8jaV4cd18ZgmAZkF8an2Abql4guF4pxl800F894l1M7WBZ+V9nEGpgHGpSLWpAOmkyQ2onUGohYWoZbGoTemsOhGsPlGsPomsRrmoXvGog\
                yWoq1Gsy5WlD72xQ+2xeFXRcInROMXU8P3QsSXQkVnQcZXQVcXMOf3QKinUKl3UKpXQLsnQRv3QZznQm13Uu53Q98nRL/HVYFYBUIn9GM380P4AkSYAbVn8VZ38NcoAH\
                gX8GioAFmYEFp4AHs4ALwIAU0IAf2oEn34E3+IBEAIRSGotTJotFN4szRIslT4ocWosVa4sMdYsFhIoEj4sFnIwDqYsFtosJw4sS04sd3osl84428YlAAIhKG5dPKZdB\
                OJcvRpcfUJcXXZYRbJcJeZcDiJYBkZcBn5gBrJgDuJgHx5cP1Jca4Jgi9pEp+55QAJpFIKFOK6FBPaEvSqEfU6EXYKEPcKEJfKEDi6EAk6IAoqMAsKIBvKIFyqIP2aEa\
                46Ii96Av/5BUEqdNJK1VMqxHQKw0TqsmWawcZasVdKwNgawHkKsGmawFp60FtK0HwKwLz6wU3awf6Kwn8qw8AL4yAKpKJ7ZaM7ZORLY8UbYsWrYjZ7YceLYVgrUOkbUL\
                m7cLqbcMuLcNw7YQ0LYb4LYm6rYu8rpJA7A9E7ZZKMJiNMJURcJCUsIyXcEpaMIiecIbhMIVk8ISncISq8MTucMUxcMZ0sMi4cIs7cI18r5GC8VWDchdK81oNs1aR81I\
                Vc04X80wbM0oe80hiM0cls0YoM0ar84Zu84ax84g1s0o5M0y8M07/8pNBM9aEMxcL9hzO9hlS9dSWdhDZNc6cdgzgNgsjNclmtcipNcistgjv9gky9gp2tcy6Ng99NhG\
                A9ZTDdhiGNlwMOSDPOR3TeNlWuNVZONMcORFgeM+jOQ4muM0peQ1suQ1wOU2zeQ62uRF6uRQ9eRYA+NmD+V1GeWCNeyQQeyCUuxwX+xgauxYd+tShuxKke1En+tAquxC\
                ue1Cxu1E0u1I3+1Q7+1c+u1jCOxzFO6AHu6OOfqhRvmVVvmCY/lzbvlqevliivlcl/lWpfhSrvpSvPlTyvtU1vpa5Phh8vlt/fl0DfiCF/qRIfqfOQWyRgSkVgORYwSE\
                bQR7egR0igNqlQNlpANjrQNjvARkyAVl1QRp4wNz8wR8/QSEDAOUFQSgIQOw
                """),
        JPEGFixture(
            name: "baseline422",
            file: """
                /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcH\
                BwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wAARCAAVABMDASEAAhEBAxEB/8QAHwAAAQUBAQEBAQEA\
                AAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6\
                Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx\
                8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAV\
                YnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPE\
                xcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDzWz0o5Hy10ul6Ucj5a5czzyXt3qelw5V0R1UOlHy1+XtRWsc8lZan6PGroiCz0M5H\
                y102l6Gcj5a/Pczry9uz8f4cxOiOV8QaV9o1q7fy9uH2Y6/d+XP6UV9lh6so0oK/RfkfBZjjfa4urU2vKT+9so2fxZgyP+Kf/wDJz/7XXTaX8WYMj/in/wDyc/8Atda5\
                nwbH27/ff+S//bH61w5wfKy/f/8Akv8A9scFD8WYPLX/AIp/t/z+f/a6K+3jwarL99/5L/8AbH5pHg6Vl+//APJf/tj/2Q==
                """,
            pixels: """
                CienECikGiqZJiqNMyl/QSlzTytrWylmaSpjdClkgihojidsnSdxqSl2tSp7wCqEzymV2yyj5S6tDTCYEzCUHTOJKTJ/NjJvRDJmUjNcXzNXbDNWdzFWhjFakzBeoC9j\
                rTBouTJsxDF10TKG3jSU5zaeEDyDFj2AID91LD9qOT5bRz5RVUBHYj9DcD9Cez1CiT5Flz1JpTtPsT1UvT9XyD5g1T5x4UF/6kOJE0hyGEhuIkpkLkpYO0lKSUk/V0s1\
                ZEoxckowfUkxi0kzmUg3pUc9s0hCwEpGyklO2Epg40xt7U53FFFkGlJhI1RYL1RMPFQ+SlQyWVUoZlQkdFQjflIjjVIomlIsp1EwtFI1wVU7y1ND2VNU5lVi71hrF11b\
                HV5YJl9OM2BDQF81Tl8pW2AeaV8adl8Zg14akF0cnV0grFwnuF4sxF8xzl453V9J6mFX8mRiHWhTI2lPLWtEOWs4RmoqVGofYmwWb2sSfGsPh2kPlmkUomkYsGgcvGoh\
                yWwn02ow4WpA7m1O929ZIXFMJ3JJMHM9PXQzSnMkWXMaZnUQcnMLgHMKi3ILmXINpnERtHEYwHIdzXQg2HQp5nM683ZI/HhSIn9GKIBDMYI2PoItS4IdWoEUZ4MKc4IF\
                goMDjYIEm4EIqIEMtYAQwYEVzoQb2oEl5382x5VaInE6JIdGK4hCNYo3QIorTokdXIkSaosJdooFhIoCkYkEnYgIq4cMuocRxokW0oob3Yok6oYxy5xUMHo7KJNFLpRB\
                N5U1RJYqUZUcYJURbZYJeZUEiJYBlZUDoZQHr5MLvZIPyZQU1pYa3pUi7505yKhRP41BKZ5DMJ9AOqE0RqEoU6EaYaEPb6IHfKEDiaIAlqABo6AFsaAKv58Oy6AT16IY\
                2qUj37I/pKpGN5tFLKtEMqtBO6w2R6wqVawdY60ScK0Hfa0DjK4ClqwCpawGsawKv6oPy6wU164Y07Qmu749aZ8wH6FHLrZKNLdHPrk8SrgxWLghZrgYdLkOgLkKjrkI\
                mrgKp7cMtLcQw7cXz7gc27ofz8Mvq9FKRaArGK5UNMJUOcJQQ8RGT8M6XMMsa8MheMUXhcQTk8QRnsMTrMIXusMcx8Ig08Ml38Uq0886sOZaQasxJr9kN8lcPcpZR8xN\
                U8xDYcszb8sqfc0giMsbl8wao8sbsMsevsoizMon2css5cwx1tZAsuxaRa8xM8hqO9VnQdVjS9hYV9dOZNc+ctY1gNgqjdgmm9glptcmtNYowdctz9Uz29c459k7xeta\
                K8RFC9poFNxxPOJ0QuNxTOVmWOVZZeRMdORAguY4juU0nOYxqOUyteQ2wuM60eM/3eVE6eZJx/lmLdJQDehyFup8QOiIR+mEUet5XOttaupfeOpUhuxLk+tHoOxErOtF\
                uupJyOpO1elS4upX7excy/95M9hiEu6EGvCORfiQTPmNVvuCYft1b/tnfftci/xUmPtQpfxNsftOv/pSy/pW2vpb5vtg8vxl0P+COOhpF/6KIf+VQgCsSAGpUgKfXgKT\
                awGFeQJ6hwNwlANsogNqrgFsuwFwygF11wB54wF+7wODzhWfNQCGFQSoHgay
                """),
        JPEGFixture(
            name: "baseline420",
            file: """
                /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcH\
                BwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wAARCAAVABMDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEA\
                AAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6\
                Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx\
                8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAV\
                YnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPE\
                xcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDzWz0o5Hy10ul6Ucj5a6Oz0M5Hy102l6Gcj5a+XzPiOv7d6mvDmOVlqYEOlHy1+XtR\
                VTxBpX2jWrt/L24fZjr935c/pRXt0sdiJQjJ1N0un/BNcR4lwo1ZUo0LqLavzWvZ2vbl0uUbP4swZH/FP/8Ak5/9rrptL+LMGR/xT/8A5Of/AGuiivYzPhzLfbv91+Mv\
                8z6fhzhzLrL93/5NL/M4KH4sweWv/FP9v+fz/wC10UUV9vHhzLbL91+Mv8z81jw5l1l+7/8AJpf5n//Z
                """,
            pixels: """
                CyqWECyQHC2JJi17MyxvQS1iUS1bXCxUaixTditUgypWkCpanyphqytmty1pvy5zyy+C0DSX0jevDjCSEzKNHTSEKTN4NjNqRDNfUzRWYDNQbDRReDFRhzFUkzFYoTBe\
                rTFjuTNmxDNu0zN93TaS3ziqEDuJFjyFID58Kj5wOD5iRj5WVT5OYj5IcD5JejxHiTxMlTxQoztUrzxZuz5eyjtm4Thx8jeE9zmdEkd9F0d4IUhvK0ljOkhVR0lIVklB\
                Y0k8cEk6fUc7ikc/l0ZDpEZHsUZMvUlSy0ZX4EZi8URy/0CNEVFsFlNoIlRfLFRTO1NFR1Q4V1QxY1QrcVQqfVEqilIvmFEzpVE3slI8vlVCxVZFy1xL3Vpf+VB5FF5f\
                Gl9aI2BRMGBGPWA4TGArWGEiZ2AcdF8cgF4ejl0iml0mqV0rtV8wwWA1xWM2ymw52mxL9mFnGmlTH2tPKW1ING06QmwsUGwhX20YbGwSemwThGsRk2sWn2oarWkeuWsj\
                xm0pzW8p2XQm53U29nBVHXRKI3VFLHU9OHcxRXYkU3cXYncObnYHfHYIh3UJlXQNoXMRsHMWvHUbyHYg03ci4Hom44A82odbJH9GKIBDMYE6PoItS4EfWoEUaYIMdYEF\
                g4EGj4EGnYAKqYAOt38Sw4AX0IId2YEo4oE90o9bVFkwJodCK4k/NYo1QIopTokbXIoQa4oIeIoChIsBkYkCnYkEq4gIuYgPxokU0YsZ2oop44VFyJpoOXVCKpJFLpRA\
                OZQ1RJYqUZUcYJURb5YJe5QCiJYBlZUDoZQHr5MLu5MPyZQU1Jca3pQn8plJyKVjOI9IK51GMJ9BO6A4R6AsVJ8eYaATcKEKfaAEi6ADlp8EpJ4IsZ8Nv54Ry6AW16Eb\
                3aMo5qxJpahPKaFHLKpJMqpGPas7R6svVawhY6wVcqsOfawIjK0IlqsGpasLs6oPwakTzaoY2awd07MsvbtCYqIwC6xCLrVONLZKQLdBSrgzWLclZrcadbgRgLgNjrgM\
                mrgLp7cPtbYTxLYY0Lcd3Lgi08Exss5FRqEiCrhFNMJUOMNQQ8RGT8M6XMMsacQfeMUXhcQTk8QRnsMTrMIXusMcx8Ig1cMl4cQq2M03w95RUKUkI8RUNMtaO8xXRs1N\
                UM1BXs0zbM0me80ghs0ZlM4Yocwarsweu8siyssn1sws4s4x1NdAsethP7IzKc9fOdVnPtdjSdhaVdhOY9dAb9gzf9ksi9gmmdglpdgkstcowdctztYx29c259k7zOhV\
                QLw4INJaG9lrPuF2QuNxTuRnWuRbZ+NNdORCg+U6kOQ0nuQzqeQ0t+M4xeI80+JB3+NG6+RLyvdmMdBSEeV0Guh8PuuCROx9T+10Wu1oZ+1ade1OhO5GkO5Anu5BquxA\
                uOtExuxJ0+tN3+1S6+5Xyv9yM9hfEu6AGvGJat67b+C1euGsheGgk+CSoOGHr+F+vOF4yOF51eB449988d6A/t+F/9+K/+KP9vSqXcyXPeK4RuTBHxp+Ixx5Lx1vOR5j\
                SB1VVR1KZB5CcR48fR86ih08mBxApxxFsxxJwBxOyx5TqzFuEglaAB98ACGE
                """),
        JPEGFixture(
            name: "progressive",
            file: """
                /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcH\
                BwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wgARCAAVABMDASIAAhEBAxEB/8QAFwABAQEBAAAAAAAA\
                AAAAAAAAAAUDBv/EABcBAAMBAAAAAAAAAAAAAAAAAAIEBQb/2gAMAwEAAhADEAAAAeapUqcsp7I6eFMcpwBczX//xAAcEAACAgIDAAAAAAAAAAAAAAAAAwECBAUREiH/\
                2gAIAQEAAQUCooUohXlECkGQrs6m2gVtoI20cf/EAB8RAAEDBAMBAAAAAAAAAAAAAAEAAgUDBFKhBjFh4f/aAAgBAwEBPwGOrqpyUMcWhnXvxR0db47KEdb47K//xAAd\
                EQABBAMBAQAAAAAAAAAAAAABAAQFEgIDsTJS/9oACAECAQE/AXMjndY79hANk5jm1/PUI5t89X//xAAaEAACAgMAAAAAAAAAAAAAAAAANKLhAiAh/9oACAEBAAY/Atcu\
                C86F50Lzo//EABkQAAMBAQEAAAAAAAAAAAAAAAAhYREQkf/aAAgBAQABPyGBAURAgaNHni6QRlA//9oADAMBAAIAAwAAABBHIP3/xAAaEQADAAMBAAAAAAAAAAAAAAAA\
                AREhkfAx/9oACAEDAQE/EFRZK1UzVwscs8UnXDZGuGz/xAAcEQACAQUBAAAAAAAAAAAAAAAAAREhMUHB0eH/2gAIAQIBAT8Qn6jiXJY9J3fohLfo/8QAHBAAAwABBQAA\
                AAAAAAAAAAAAAAERcSExQWGh/9oACAEBAAE/EG1BtQbgDKgyocJmnv2eFaBWgYYD/9k=
                """,
            pixels: """
                CyqWECyQHC2JJi17MyxvQS1iUS1bXCxUaixTditUgypWkCpanyphqytmty1pvy5zyy+C0DSX0jevDjCSEzKNHTSEKTN4NjNqRDNfUzRWYDNQbDRReDFRhzFUkzFYoTBe\
                rTFjuTNmxDNu0zN93TaS3ziqEDuJFjyFID58Kj5wOD5iRj5WVT5OYj5IcD5JejxHiTxMlTxQoztUrzxZuz5eyjtm4Thx8jeE9zmdEkd9F0d4IUhvK0ljOkhVR0lIVklB\
                Y0k8cEk6fUc7ikc/l0ZDpEZHsUZMvUlSy0ZX4EZi8URy/0CNEVFsFlNoIlRfLFRTO1NFR1Q4V1QxY1QrcVQqfVEqilIvmFEzpVE3slI8vlVCxVZFy1xL3Vpf+VB5FF5f\
                Gl9aI2BRMGBGPWA4TGArWGEiZ2AcdF8cgF4ejl0iml0mqV0rtV8wwWA1xWM2ymw52mxL9mFnGmlTH2tPKW1ING06QmwsUGwhX20YbGwSemwThGsRk2sWn2oarWkeuWsj\
                xm0pzW8p2XQm53U29nBVHXRKI3VFLHU9OHcxRXYkU3cXYncObnYHfHYIh3UJlXQNoXMRsHMWvHUbyHYg03ci4Hom44A82odbJH9GKIBDMYE6PoItS4EfWoEUaYIMdYEF\
                g4EGj4EGnYAKqYAOt38Sw4AX0IId2YEo4oE90o9bVFkwJodCK4k/NYo1QIopTokbXIoQa4oIeIoChIsBkYkCnYkEq4gIuYgPxokU0YsZ2oop44VFyJpoOXVCKpJFLpRA\
                OZQ1RJYqUZUcYJURb5YJe5QCiJYBlZUDoZQHr5MLu5MPyZQU1Jca3pQn8plJyKVjOI9IK51GMJ9BO6A4R6AsVJ8eYaATcKEKfaAEi6ADlp8EpJ4IsZ8Nv54Ry6AW16Eb\
                3aMo5qxJpahPKaFHLKpJMqpGPas7R6svVawhY6wVcqsOfawIjK0IlqsGpasLs6oPwakTzaoY2awd07MsvbtCYqIwC6xCLrVONLZKQLdBSrgzWLclZrcadbgRgLgNjrgM\
                mrgLp7cPtbYTxLYY0Lcd3Lgi08Exss5FRqEiCrhFNMJUOMNQQ8RGT8M6XMMsacQfeMUXhcQTk8QRnsMTrMIXusMcx8Ig1cMl4cQq2M03w95RUKUkI8RUNMtaO8xXRs1N\
                UM1BXs0zbM0me80ghs0ZlM4Yocwarsweu8siyssn1sws4s4x1NdAsethP7IzKc9fOdVnPtdjSdhaVdhOY9dAb9gzf9ksi9gmmdglpdgkstcowdctztYx29c259k7zOhV\
                QLw4INJaG9lrPuF2QuNxTuRnWuRbZ+NNdORCg+U6kOQ0nuQzqeQ0t+M4xeI80+JB3+NG6+RLyvdmMdBSEeV0Guh8PuuCROx9T+10Wu1oZ+1ade1OhO5GkO5Anu5BquxA\
                uOtExuxJ0+tN3+1S6+5Xyv9yM9hfEu6AGvGJat67b+C1euGsheGgk+CSoOGHr+F+vOF4yOF51eB449988d6A/t+F/9+K/+KP9vSqXcyXPeK4RuTBHxp+Ixx5Lx1vOR5j\
                SB1VVR1KZB5CcR48fR86ih08mBxApxxFsxxJwBxOyx5TqzFuEglaAB98ACGE
                """),
        JPEGFixture(
            name: "restarts",
            file: """
                /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESUM8SDc9Pjv/2wBDAQoL\
                Cw4NDhwQEBw7KCIoOzs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wAARCAAVABMDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEA\
                AAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6\
                Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx\
                8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAV\
                YnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPE\
                xcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/90ABAAB/9oADAMBAAIRAxEAPwDkoLA5HFa9nYHI4rVg0s5Hy1r2elnI+WvDxmbVfa7mmU4lWR//0HpYHYOK\
                Kh1Kw87UZ22Yw238uP6UVzQxNVxT5/6+83q8YRp1JQVO6Tavzb/gf//RpweP4s/8gf8A8mf/ALGtez8fxZH/ABJ//Jn/AOxooroxmU4L2vwfi/8AM+iynKcHZe5+L/zP\
                /9LFT4gRbB/xJ/8AyZ/+xooor65ZTgrfB+L/AMzzVlODt8H4v/M//9k=
                """,
            pixels: """
                Bi2SDC6PFy6LIy6AMipzQCpoTy1gXS5aZi5Tci9SgDBXjC9bmyxfqC5pti9xyyl88R6P+h6a7SumCTKOEDSMGzSGJjJ6NTFuQzFlUjJbXzNUajNQdDROgzRRjzRVnTJc\
                qzNjuDRtzDB36CqE8SqP6DWZDDuDFDyBHz15LDxwOjljSDlaVztRYjxHbj1DeD1Bhj1Gkz1KoTtRrjtYuz1iyT5o2D5w3kF42kmCEEZ1FkdyI0ZsMEViPUJVTEJLWkVC\
                Z0c6cUY1fEgzikc3lkY7pEVDskVKwEhUyEla005h1lJp1ldyE1BjGlJhJ1JbM1FRQU5ET046XlExalEpdlElgFEjj1Imm1Eqp1AytVE6wlJEzVRM1VdY2Vph3F9tF1xX\
                H15VK15PNlxDRVs3U1ssYVwkb10del0XhV0Vk14an14erVwluV0uxl821F5A4l9L52FW5WlhGmlKIWtKLmpEO2k6SWYsV2YhZmkacWoSfWoMiWsLlmsPomoTsGkZvWkh\
                y2ws3Wgz+GM7/mVF83FRHHJBJHRBL3Q7PHMwSnAjWHAYZ3MRcnQJfnQFinQElnQGpHMKsXIRvnMYzHYj3XIu9W0983JK24VWIX9BKIE/NIE5QIExTX4jW34YbIARd4EH\
                goEDj4ICm4IEqIEItYAQw4AY0YIj2YI1235Szo9sW10uIolAKYs+NIw4QYouT4ghXYcXbIoOeYoGg4sCjosAnIwDqIwHt4kPw4oW0osf14042I5fvJx2Q3Y9JJVDK5dB\
                OJc5RJYwUZQjYJMabZUQe5YHhZcDkZcBnpgGqpcKupURxpYY1Jci3Zc36ZpfwJxoSYU7JaFDLKJCOaI7Rp8xU58lYZ8acKAQfaEJiKEFkqIDn6MIraIMu6ATyKAa1aIj\
                36I456Rgr5dbR5A+KKtFLqxBO6s7R6ozVagmY6gacqoRfqwLiKsGlawEoq0Hr60Lu6oSyqsc160l26092KxjjpBRPJhFLLZHM7hFQLc/S7Y1W7MpaLQed7UWg7cNjbgJ\
                mbcHprgKsrgQwrYWzrYe3Lco2rxAxr9kaZZBLapGM8JOOsRLR8RGU8M7Yr8wb8Alf8IbisMUlMQQoMMNrcQRusQWycIc1cMl48Qs185Bs91fRasuG8c/NcxYPM1USM1O\
                VM1EYsk5cMotf8wki84els4Xos4XsM8avM8eycwl180t5M820NxKnPduJ784E9hLN9toO9pkR9ldVNdTZdhJdNk/gdk1i9ktl9ooodsnr9wqvdsuytk22Nk95dtGyuxh\
                PMJFF9ZiE+BqNuFxPOBtRt5lU99cZN1QdN5IgN89i940l+AxoeAvr+EyvOA2yt4+2N9E5uFPxfNsMcxXDd90FON7Re+CS+9+Vu51Yu1sdO1ig+1ZkO5Pmu1Dp/BBs+8/\
                wPBEzPBI2u5P6O5W9fBg1f99QNpoHO2FI/KKatuwbtmretijhtiamNeQpteGtNl8v9hyytpv1tps49px8Np1/dh9/9mE/9qN+uyrY8WWQNiyRty3JSJ9KSF3MyBxPyBm\
                UR9cXx9TbSFIeSBAhCI7jyI5nSI+qSJCtyBJxCFQ0SJZszR3GwxhAB9+ACOD
                """),
        JPEGFixture(
            name: "gray",
            file: """
                /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/wAALCAAV\
                ABMBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2Jy\
                ggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJ\
                ytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/APNbPSjkfLXS6XpRyPlrqodKPlr8vaoLPQzkfLXTaXoZyPlrlfEGlfaNau38vbh9mOv3flz+lUbP\
                4swZH/FP/wDk5/8Aa66bS/izBkf8U/8A+Tn/ANrrgofizB5a/wDFP9v+fz/7XX//2Q==
                """,
            pixels: """
                LS0tLy8vMjIyNDQ0NjY2OTk5PT09Pz8/Q0NDRkZGSkpKTk5OU1NTWFhYXV1dYWFhZ2dnbm5uc3NzMTExMzMzNjY2ODg4Ojo6PT09QUFBRERESEhISkpKT09PU1NTV1dX\
                XFxcYWFhZWVla2trcnJyd3d3Nzc3OTk5PDw8Pj4+QEBAQ0NDR0dHSkpKTk5OUFBQVVVVWVlZXV1dYmJiZ2dna2trcXFxeHh4fX19PT09Pj4+QUFBQ0NDRUVFSEhITExM\
                T09PU1NTVlZWWlpaXl5eYmJiZ2dnbW1tcHBwd3d3fX19goKCQUFBQ0NDRkZGSEhISkpKTU1NUVFRVFRUWFhYWlpaX19fY2NjZ2dnbGxscnJydXV1e3t7goKCh4eHSEhI\
                SkpKTExMT09PUVFRVFRUV1dXWlpaXl5eYWFhZWVlaWlpbm5uc3NzeHh4e3t7goKCiYmJjo6OT09PUVFRVFRUVlZWWFhYW1tbX19fYmJiZmZmaGhobW1tcXFxdXV1enp6\
                gICAg4ODiYmJkJCQlZWVVVVVV1dXWVlZXFxcXl5eYWFhZWVlZ2dna2trbm5ucnJydnZ2e3t7gICAhYWFiYmJj4+PlpaWm5ubXV1dX19fYWFhZGRkZmZmaWlpbW1tb29v\
                dHR0d3d3e3t7f39/g4ODiIiIjo6OkZGRlpaWnZ2dU1NTYmJiZGRkZ2dnaWlpa2trbm5ucnJydXV1eXl5fHx8gICAhISEiYmJjo6Ok5OTl5eXmpqaoqKiXV1dampqbGxs\
                bm5ucXFxc3NzdnZ2enp6fHx8gYGBhISEiIiIjIyMkJCQlZWVm5ubnp6eqqqqqKiobW1tcXFxc3NzdnZ2eHh4enp6fX19gYGBhISEiIiIi4uLj4+PlJSUmJiYnZ2doqKi\
                pqamsrKynZ2dc3NzeXl5e3t7fX19f39/goKChYWFiIiIi4uLkJCQkpKSl5eXm5ubn5+fpKSkqampra2trq6ugoKCcHBwgYGBg4ODhoaGiIiIioqKjY2NkZGRlJSUmJiY\
                m5ubn5+fo6OjqKiora2tsrKytra2tra2d3d3d3d3i4uLjIyMj4+PkZGRk5OTlpaWmpqanZ2doaGhpKSkqKiora2tsbGxtra2u7u7v7+/xsbGfX19h4eHkZGRk5OTlpaW\
                mJiYmpqanZ2doaGho6OjqKioq6urr6+vs7OzuLi4vb29wsLCxcXFysrKgYGBkZGRmpqanJycn5+foaGho6Ojpqamqqqqra2tsbGxtLS0uLi4vb29wcHBxsbGy8vLz8/P\
                iIiIj4+PlJSUpKSkpqamqampq6urra2tsLCwtLS0t7e3u7u7vr6+wsLCxsbGy8vL0NDQ1dXV2dnZkpKSmZmZnp6eq6urra2tsLCwsrKytLS0t7e3u7u7vr6+wsLCxcXF\
                ycnJzs7O0tLS19fX3Nzc4ODgmZmZoKCgpaWlt7e3ubm5vLy8vr6+wMDAw8PDx8fHysrKzs7O0dHR1dXV2dnZ3t7e4+Pj6Ojo7OzspaWlrKyssbGxJycnKSkpLCwsLi4u\
                MDAwMzMzNzc3Ojo6Pj4+QUFBRUVFSkpKTk5OU1NTWFhYXFxcFRUVHBwcISEh
                """),
        JPEGFixture(
            name: "cmyk",
            file: """
                /9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAGBAUGBQQGBgUGBwcGCAoQCgoJCQoUDg8MEBcUGBgXFBYWGh0lHxobIxwWFiAsICMmJykqKRkfLTAtKDAlKCko/8AAFAgAFQAT\
                BEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEV\
                UtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrC\
                w8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwDx/wACWn+r4rz3/hF/+mf6VwfjLxfN9pk/eHr619U19F+BLT/V8Uf8Iv8A\
                9M/0rn9I8XzfaV/eHr60V7VZWn+ixcdqP+EX/wCmf6V6pp/i+b7FD+8P3fWivirwJaf6vivdf+EX/wCmf6V4t4ytJvtMnB60V9F+BLT/AFfFH/CL/wDTP9K5/SLSb7Sv\
                B60V8p/HK8/tv4t+KLr7P5Hl3hs9u/dnyAId2cD73l7sds4ycZo/4Rf/AKZ/pXqmn2k32KHg/dorvvAkC/u68/8A+Gorf/oSP/Kr/wDaa6vxl4btPtMnJ6+lFfRfgSBf\
                3dH/AA1Fb/8AQkf+VX/7TXP6R4btPtK8nr6UV8J2UC/ZYvpR/wANRW//AEJH/lV/+016pp/hu0+xQ8n7vpRX/9k=
                """,
            pixels: """
                ASe0DCelGyeTKCeHMyd+QSd0TydsWidoaSdkdCdjgydkkCdonCdsqSdyuCd9wieI0CeT3Sel6Se0BDSiDjSSHTSAKjR0NjRrQzRhUjRZXTRVbDRSdzRRhTRSkzRWnjRa\
                qzRgujRrxTR10zSA4DSS7DSiBz+QEj+BIT9vLj9jOT9aRz9QVT9IYD9Ebz9Aej8/iT9Alj9Eoj9Irz9Ovj9ZyD9k1j9v4z+B7z+QCkmDFUlzJElhMUlVPElMSklCWUk6\
                Y0k2ckkzfUkxjEkzmUk3pUk7sklAwUlMy0lW2Ulh5klz8kmCDVV0F1VlJlVTNFVHP1U+TFU0W1UrZlUodVUkgFUjj1UknFUop1UstVUyw1U9zlVI3FVS6VVl9VV0EF5q\
                G15aKV5IN148Ql4zT14pXl4haV4deF4ag14Zkl4an14eql4iuF4oxl4z0V49315I7F5a+F5pE2liHmlSLWlAOmk1RmkrU2khYmkZbGkWfGkShmkRlWkSomkWrmkau2kg\
                ymkr1Wk14mlA8GlS/GliFnZaIXZKL3Y4PXYsSHYjVXYZZHYRb3YNfnYKiXYJmHYKpXYOsHYSvnYYzXYj13Yt5XY48nZK/nZZGX9VJH9FM38zQH8oS38eWX8UZ38Mcn8J\
                gX8FjH8Em38FqH8JtH8NwX8T0H8e2n8o638z8H9FAH9VHItSJotDNYsxQoslToscW4sSaosKdYsGhIsCj4sBnYsCq4sGtosKw4sQ0osb3Ysm6Ysx9ItDEotSH5ZRKpZB\
                OZYvRpYjUZYaX5YQbZYIeJYEh5YBkpYAoZYBrpYFupYJx5YP1pYa4JYk7pYv+ZZBApZRIqBSLaBDPKAxSaAlVKAcYqAScaAKe6AGiqAClaABpKACsaAGvaAKyqAQ2aAb\
                46Am7aAx/6BDDKBSJaxVL6xFPqwzTKwnV6weZKwUc6wMfqwIjawFmKwEp6wFtKwJv6wNzawT26we5qwo+qwzAKxFDaxVKLZaM7ZKQbY4T7YsWrYjZ7YZdrYRgbYNkLYK\
                m7YIqrYKt7YOwrYS0LYY3rYj6bYt+bY4BLZKF7ZZK8FiNsFSRcFAUsE1XsEsa8EiesEZhMEWlMESnsERrcESusEWxsEa08Eg4sEr7cE2/sFACcFTB8FiLs1qOc1aR81I\
                Vc08YM0zbc0pfM0hh80dls0aoc0ZsM0avc0eyM0i1s0o5c0z7809/M1IDc1aGc1pMdl3PNlnS9lVWNlJZNlAcdk2gNkuitkqmtknpNkls9knwNkrzNkv2dk16NlA8tlK\
                ANlVDdlnGdl2M+KCPuJyTeJgWuJUZuJLc+JBguI5jOI1nOIypuIwteIywuI2zuI62+I/6uJL9OJVAuJgD+JyG+KBN/CQQfCBUPBvXfBjafBadvBQhfBIkPBEn/BAqvA/\
                uPBAxvBE0fBI3vBO7fBZ+PBkBfBvEvCBHvCQOvejRfeUU/eCYfd2bPdtevdjiPdak/dXovdTrfdSvPdTyfdX1fdb4vdh8fds+/d3CfeBFveUIvejPAW0RwWkVgWSYwWG\
                bwV9fAVziwVrlQVnpQVkrwVivgVkywVo1wVs5AVy8wV9/gWHCwWSGAWkJAWz
                """),
        JPEGFixture(
            name: "ycck",
            file: """
                /9j/7gAOQWRvYmUAZAAAAAAC/9sAQwAGBAUGBQQGBgUGBwcGCAoQCgoJCQoUDg8MEBcUGBgXFBYWGh0lHxobIxwWFiAsICMmJykqKRkfLTAtKDAlKCko/8AAFAgAFQAT\
                BEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEV\
                UtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrC\
                w8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwDx/wACWn+r4rz3/hF/+mf6VwfjLxfN9pk/eHr619U19F+BLT/V8Uf8Iv8A\
                9M/0rn9I8XzfaV/eHr60V7VZWn+ixcdqP+EX/wCmf6V6pp/i+b7FD+8P3fWivirwJaf6vivdf+EX/wCmf6V4t4ytJvtMnB60V9F+BLT/AFfFH/CL/wDTP9K5/SLSb7Sv\
                B60V8p/HK8/tv4t+KLr7P5Hl3hs9u/dnyAId2cD73l7sds4ycZo/4Rf/AKZ/pXqmn2k32KHg/dorvvAkC/u68/8A+Gorf/oSP/Kr/wDaa6vxl4btPtMnJ6+lFfRfgSBf\
                3dH/AA1Fb/8AQkf+VX/7TXP6R4btPtK8nr6UV8J2UC/ZYvpR/wANRW//AEJH/lV/+016pp/hu0+xQ8n7vpRX/9k=
                """,
            pixels: """
                tf//v+//ydP/zb3/z6z/z5f/zIP/x3X/vWP/tFj/o0n/kT//fzb/ai30SyblMiTbFB7NAB7AAB20y/n/2OT/4sj/5rL/5qD/54z/5Hf/3mn/01j/ykz/uj//pzTzlizo\
                gSPbYhzMSRjBLBKzBhKmABGa4u3/7Nf/9rv/+qb/+5T/+3//+Wz/817/6kz/4ED40DLpvSjcrB/QlhbDeA+0Xg2qQQacGwaPAAWD8eT//M7//7L//5z//4v//3b//2H/\
                /1T9+UPu8Tfj3ynUzB/Huxa7pwyuhwafbwOVUQCHKwB6CgBu/9v//8b//6r//5P//4L//27//1jw/0vl/zrW/y7L8SC83hWvzg2ktwOWmgCIgAB9YwBvPABiGwBW/9T/\
                /73//6L//4z//3r5/2bs/1Hd/0TS/zLD/ye4/Bip6Q6c2QaRwgCDpQB1jABqbwBcSABPJwBD/8///7j//5z7/4ju/3Ti/2DV/0zG/z+8/y2s/yKi/xST8gmG4AB6ywBt\
                rABekwBTdwBGTwA4LQAs/8r7/7Tw/5ni/4PU/3HJ/128/0it/zqi/ymT/x6I/w95+gVs6QBh0wBTtABEnAA6fwAsWQAfOAAT/8fo/7Hd/5XO/4DB/262/1mo/0Wa/ziP\
                /yaA/xp1/wxm/gJZ7ABN1wBAuAAxoAAngAAWYgAR/+D//8bQ/7HG/5W3/4Cq/22e/1mR/0WC/zd3/yVo/xld/wxP/wFB7gA22QApuwAaoAAPhQADYQAA/9Da/8a5/7Cu\
                /5Sf/36S/22H/1h5/0Rr/zZg/yVR/xlG/ws3/QEq7AAe1gARuAACoAAAgwAAXgAA/+PW/8ek/7GZ/5aK/4B9/29y/1lk/0VV/zhL/yY8/xox/wwi+QIV5wAJ0gAAtAAA\
                mgAAgQAAVgAA/926/8qM/7WC/5lz/4Nl/3Fa/11N/0g+/zoz/ykk/x4Z/w8K8gUA4QAAywAArQAAlAAAcQAA/+Sx/+Kk/853/7hs/51e/4dQ/3VF/2E4/0wp/z4e/y0P\
                /yEE+hMA6AkA1wEAwQAAowAAigAAawAA/+eb/9+I/tVh/79W/6NH/446/3su/2ch/1IS/0YI/zMA/SgA7BoA2hAAyAcAswAAlAAAegAAWwAA/+yD//mF8NxJ+8U+/6sw\
                /5Qi/4MX/24K/1oA/0wA+DsA7i8A3iEAyxcAuw4ApAUAhgAAbgAAUgAA//Fq//Be2+Yw5tAl8LQW9J4J9YwA9ngA8mMA7lYA4kQA2zkAySsAtiEApRgAjw8AcQgAWQUA\
                //9h//9U9P1Iye8e1dkT370E46cA45UA5IEA4WwA3F8A0E0AyUIAtzQApSoAkyEAfxcAXxEARw4A//9P//9C4/82svoCveUAx8kAy7QAy6EAzI0AyXkAw2sAulkAsE0A\
                oUAAjTUAfS0AZyQASR0ALhoA//807P8ny/8blP8AnvEAqdYArMAArq4ArpkArIUApXgAnGYAkloAgkwAb0IAXjkASDAAKikAEScA9f8jzf8WrP8Ker7/hqf/kIz/lHb/\
                lGT/lU//kTv/jS7/gRz/ehD/aAP/VgD/RAD/LwD1EADmAADb29f/tdb/k9X/
                """),
    ]
}
