"""Briefs as content teams write them, with the kind that a reader would choose.

The number is that of steps, variants or variations.
"""

from __future__ import annotations

from typing import NamedTuple

CHAIN, VARIANTS, BRAND_SET = "chain", "variants", "brand_set"

FORMATS = ("instagram_story", "instagram_post", "twitter_card", "blog_header", "blog_thumbnail")
"""Names of the built-in targets."""


class Labelled(NamedTuple):
    """A brief and what should come of it."""

    text: str
    kind: str
    count: int


ENGLISH = [
    Labelled("Remove the people in the background, then make the sky blue and finally add the text "
             '"OPEN" above the door.', CHAIN, 3),
    Labelled("Add a red hat to the dog", CHAIN, 1),
    Labelled("1. Remove the car\n2. Change the wall to blue\n3. Turn it into a watercolor",
             CHAIN, 3),
    Labelled("First, remove the scratches. Second, brighten the face. Then add a vintage film "
             "style.", CHAIN, 3),
    Labelled("Hi team! This is our shop front. Remove the bin and replace the awning with a "
             "striped one. Thanks!", CHAIN, 2),
    Labelled("Add a cat on the sofa and make it orange", CHAIN, 1),
    Labelled('Change the sign to say "A/B test", brighten the photo, and remove the bicycle',
             CHAIN, 3),
    Labelled("Remove the Instagram logo from the T-shirt", CHAIN, 1),
    Labelled("Add a story book to the table", CHAIN, 1),
    Labelled("A/B test a red vs blue button for more clicks", VARIANTS, 2),
    Labelled("Which works better: a beach or a forest background?", VARIANTS, 2),
    Labelled("Make three variants: one with a sunny sky, one with a sunset and one with a starry "
             "night", VARIANTS, 3),
    Labelled('Variant A: write "BUY NOW" on the button. Variant B: write "SHOP NOW" on the button. '
             "Measure sales.", VARIANTS, 2),
    Labelled('Test the headline "Fresh daily" against "Baked today" on the sign', VARIANTS, 2),
    Labelled("Change the background to a beach or a forest and test which gets more clicks",
             VARIANTS, 2),
    Labelled("A/B test a warmer look for this product photo", VARIANTS, 2),
    Labelled("Compare a minimalist layout with a busy one for engagement", VARIANTS, 2),
    Labelled("Create Instagram story and Twitter card versions of our summer sale photo with a "
             "beach background", BRAND_SET, 1),
    Labelled("Make a social media set in our brand colours #0A84FF and #FFFFFF: spring, summer and "
             "winter versions", BRAND_SET, 3),
    Labelled("We need blog header and thumbnail images. Make the scene brighter and put our logo "
             "in the top right corner.", BRAND_SET, 1),
    Labelled("Resize the product shot for all formats", BRAND_SET, 1),
    Labelled("Make spring, summer and winter versions of this product photo for Instagram",
             BRAND_SET, 3),
    Labelled("For Instagram: replace the background with a snowy mountain. Brand colours are navy "
             "and gold.", BRAND_SET, 1),
    Labelled("Please erase the power lines and add a kite in the sky", CHAIN, 2),
    Labelled("Turn the photo into an oil painting, then write 'Happy Birthday' at the bottom",
             CHAIN, 2),
    Labelled("We're not sure whether a dark or a light background sells better", VARIANTS, 2),
    Labelled("Split test: version A: a smiling model; version B: a close-up of the product",
             VARIANTS, 2),
    Labelled("Blog thumbnail and tweet image, please, with a pastel pink background", BRAND_SET, 1),
    Labelled("Marketing assets for every platform: morning, noon and night versions", BRAND_SET, 3),
    Labelled("Swap the wooden table for a marble one and then sharpen the whole image", CHAIN, 2),
    Labelled("Crop out the stranger on the left. Next, correct the spelling on the label to "
             "'Espresso'.", CHAIN, 2),
    Labelled("Could you give the model sunglasses?", CHAIN, 1),
    Labelled("Do people prefer a blue or a green bottle? Set up an experiment, we want more sales",
             VARIANTS, 2),
    Labelled("I'd like to A/B test two captions: 'Fresh' and 'Organic'", VARIANTS, 2),
    Labelled("Our brand needs a banner for the blog and something for Instagram stories; use a "
             "sunny beach", BRAND_SET, 1),
    Labelled("Export this for each social channel, in a dark mood", BRAND_SET, 1),
    Labelled("Which background works better, a beach or a forest?", VARIANTS, 2),
    Labelled("Which color performs best, red, green or blue?", VARIANTS, 3),
    Labelled("Which headline gets more clicks: 'Sale' or 'Now'?", VARIANTS, 2),
    Labelled("What works better for our shop: a beach or a city?", VARIANTS, 2),
    Labelled("What gets more likes, a cat or a dog?", VARIANTS, 2),
    Labelled("Make the sky red and A/B test it", VARIANTS, 2),
    Labelled("Change the button to green and A/B test it", VARIANTS, 2),
    Labelled("Test whether a smiling model gets more clicks", VARIANTS, 2),
    Labelled("Test if a red button gets more clicks", VARIANTS, 2),
    Labelled("Which is better, cats or dogs?", VARIANTS, 2),
    Labelled("Which font looks best: serif or sans?", VARIANTS, 2),
    Labelled("Does a red or a blue door sell better?", VARIANTS, 2),
    Labelled("See whether people click more on a red or a green button", VARIANTS, 2),
    Labelled("Write which way is better on the sign", CHAIN, 1),
    Labelled("Make versions for Instagram", BRAND_SET, 1),
    Labelled("Create images for our blog header and Instagram", BRAND_SET, 1),
    Labelled("Please make this photo fit for Instagram and Twitter", BRAND_SET, 1),
    Labelled("Resize to 1080x1080 and 5x7", BRAND_SET, 1),
    Labelled("Export in different sizes", BRAND_SET, 1),
    Labelled("make the two dogs different sizes", CHAIN, 1),
    Labelled("Make the balloons in different sizes", CHAIN, 1),
]  # fmt: skip

CHINESE = [
    Labelled("把背景换成海滩，然后在左上角添加文字“夏日特惠”，最后变成水彩风格", CHAIN, 3),
    Labelled("去掉左边的人，并把天空变成蓝色", CHAIN, 2),
    Labelled("1、去掉路人 2、把招牌上的字改成「营业中」 3、提高亮度", CHAIN, 3),
    Labelled("请先把杯子去掉，再加上一朵花", CHAIN, 2),
    Labelled("给小狗戴上一顶红帽子", CHAIN, 1),
    Labelled("首先删除电线；其次把墙刷成白色；最后添加一盆绿植", CHAIN, 3),
    Labelled("把招牌上的字改成「对比测试」", CHAIN, 1),
    Labelled("做一个A/B测试：红色按钮和蓝色按钮，看看哪个点击率更高", VARIANTS, 2),
    Labelled("对比测试标题「立即购买」和「马上抢购」", VARIANTS, 2),
    Labelled("帮我做春、夏、秋三个版本，比较哪个转化率更高", VARIANTS, 3),
    Labelled("背景换成海滩还是森林更好？做个对比测试", VARIANTS, 2),
    Labelled("一个用暖色调，一个用冷色调，做A/B测试", VARIANTS, 2),
    Labelled("方案A：把按钮变成红色；方案B：把按钮变成绿色。看哪个互动率更高", VARIANTS, 2),
    Labelled("做一套Instagram快拍和推特卡片，品牌颜色是蓝色和金色", BRAND_SET, 1),
    Labelled("生成各种尺寸的社交媒体图，把背景换成雪山", BRAND_SET, 1),
    Labelled("为博客做头图和缩略图，简约风格，加上我们的标志", BRAND_SET, 1),
    Labelled("品牌套图：春、夏、秋、冬四个版本", BRAND_SET, 4),
    Labelled("小红书用的图，把背景换成粉色", BRAND_SET, 1),
    Labelled("把猫换成狗，接着给它加上一条围巾", CHAIN, 2),
    Labelled("想知道白色背景和黑色背景哪个点击更多", VARIANTS, 2),
    Labelled("给公众号做封面，背景要有烟花", BRAND_SET, 1),
    Labelled("先裁掉边缘，然后调亮，最后在右下角写上“新品上市”", CHAIN, 3),
    Labelled("把沙发变成绿色", CHAIN, 1),
    Labelled("这张海报用红底还是蓝底更吸引人？", VARIANTS, 2),
    Labelled("请出两个版本：白天；夜晚", VARIANTS, 2),
    Labelled("需要在朋友圈和微博发布的图片，加点节日气氛", BRAND_SET, 1),
    Labelled("Instagram故事和帖子都要，背景换成海边", BRAND_SET, 1),
    Labelled("哪个背景效果更好，海滩还是森林？", VARIANTS, 2),
    Labelled("哪种颜色更好：红色、绿色还是蓝色？", VARIANTS, 3),
    Labelled("哪个标题点击更多：“特价”还是“现在”？", VARIANTS, 2),
    Labelled("对我们店来说什么背景更好：海滩还是城市？", VARIANTS, 2),
    Labelled("红色和蓝色的门哪个更好看", VARIANTS, 2),
    Labelled("把天空变成红色，做A/B测试", VARIANTS, 2),
    Labelled("把按钮改成绿色并做A/B测试", VARIANTS, 2),
    Labelled("测试微笑的模特是否能带来更多点击", VARIANTS, 2),
    Labelled("测试一下红色按钮会不会点击更多", VARIANTS, 2),
    Labelled("做几个Instagram用的版本", BRAND_SET, 1),
    Labelled("为博客头图和Instagram制作图片", BRAND_SET, 1),
    Labelled("请让这张照片适合Instagram和推特", BRAND_SET, 1),
    Labelled("调整为1080x1080和5x7", BRAND_SET, 1),
    Labelled("把这张图做成不同尺寸", BRAND_SET, 1),
    Labelled("把两个气球改成不同尺寸", CHAIN, 1),
]

KOREAN = [
    Labelled("배경을 해변으로 바꾸고 고양이를 추가해줘", CHAIN, 2),
    Labelled("먼저 사람을 지운 다음 하늘을 파란색으로 바꾸고 마지막으로 '여름 세일' 문구를 넣어줘",
             CHAIN, 3),
    Labelled("왼쪽 자동차를 지워 주세요. 그리고 간판을 '영업중'으로 바꿔 주세요.", CHAIN, 2),
    Labelled("1. 배경을 흰색으로 바꿔줘\n2. 로고를 제거해줘\n3. 수채화 스타일로 바꿔줘", CHAIN, 3),
    Labelled("강아지에게 모자를 씌워줘", CHAIN, 1),
    Labelled("간판을 '시안 비교'로 바꿔줘", CHAIN, 1),
    Labelled("빨간색 버튼과 파란색 버튼을 A/B 테스트 해줘, 클릭률 기준으로", VARIANTS, 2),
    Labelled("시안 비교: A안은 따뜻한 색감, B안은 차가운 색감", VARIANTS, 2),
    Labelled("'지금 구매'와 '바로 주문' 문구 중 어느 것이 더 좋은지 테스트해줘", VARIANTS, 2),
    Labelled("봄, 여름, 겨울 버전을 만들어서 비교하고 싶어요", VARIANTS, 3),
    Labelled("배경을 해변으로 바꾸기 vs 숲으로 바꾸기, 어느 쪽이 구매가 더 많은지 테스트",
             VARIANTS, 2),
    Labelled("인스타그램 스토리와 게시물용 이미지를 만들어 주세요. "
             "배경을 눈 덮인 산으로 바꿔 주세요.", BRAND_SET, 1),
    Labelled("다양한 사이즈로 만들어줘, 브랜드 컬러는 네이비와 골드", BRAND_SET, 1),
    Labelled("블로그 헤더와 썸네일을 미니멀 스타일로 만들어줘", BRAND_SET, 1),
    Labelled("브랜드 세트: 봄, 여름, 가을 버전", BRAND_SET, 3),
    Labelled("트위터 카드용으로 배경을 밝게 바꿔줘", BRAND_SET, 1),
    Labelled("간판 글씨를 '커피'로 바꾸고, 의자를 빼줘", CHAIN, 2),
    Labelled("파란 하늘 배경과 노을 배경 중에 어떤 게 더 반응이 좋을까?", VARIANTS, 2),
    Labelled("SNS용 이미지 세트가 필요해요. 배경에 벚꽃을 추가해 주세요.", BRAND_SET, 1),
    Labelled("나무를 없애고 벤치를 추가한 다음 전체를 만화 스타일로 바꿔줘", CHAIN, 3),
    Labelled("하늘을 노을로 바꿔 주세요", CHAIN, 1),
    Labelled("A/B 테스트용으로 '할인' 문구와 '무료 배송' 문구를 비교해 주세요", VARIANTS, 2),
    Labelled("두 가지 버전으로 만들어줘: 낮; 밤", VARIANTS, 2),
    Labelled("인스타 피드와 스토리에 올릴 사진, 배경은 카페로", BRAND_SET, 1),
    Labelled("여러 플랫폼에 맞는 크기로 봄, 가을 버전 만들어 주세요", BRAND_SET, 2),
    Labelled("어느 배경이 더 좋을까요, 해변 아니면 숲?", VARIANTS, 2),
    Labelled("어떤 색이 가장 효과가 좋을까, 빨강, 초록, 파랑?", VARIANTS, 3),
    Labelled("어느 문구가 클릭을 더 받을까: '세일' 또는 '지금'?", VARIANTS, 2),
    Labelled("우리 가게에는 뭐가 더 나을까: 해변 아니면 도시?", VARIANTS, 2),
    Labelled("하늘을 빨갛게 바꾸고 A/B 테스트 해줘", VARIANTS, 2),
    Labelled("버튼을 초록색으로 바꿔서 A/B 테스트 해줘", VARIANTS, 2),
    Labelled("웃는 모델이 클릭을 더 받는지 테스트해줘", VARIANTS, 2),
    Labelled("빨간 버튼이 클릭을 더 많이 받는지 확인해줘", VARIANTS, 2),
    Labelled("인스타그램용 버전을 만들어줘", BRAND_SET, 1),
    Labelled("블로그 헤더와 인스타그램용 이미지를 만들어줘", BRAND_SET, 1),
    Labelled("이 사진을 인스타그램과 트위터에 맞게 만들어줘", BRAND_SET, 1),
    Labelled("1080x1080과 5x7로 크기를 조정해줘", BRAND_SET, 1),
    Labelled("이 사진을 다양한 크기로 만들어줘", BRAND_SET, 1),
    Labelled("두 마리 개를 다른 크기로 만들어줘", CHAIN, 1),
    Labelled("풍선 두 개를 서로 다른 크기로 바꿔줘", CHAIN, 1),
]  # fmt: skip

ALL = ENGLISH + CHINESE + KOREAN
