from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("operations_api", "0001_initial"),
    ]

    operations = [
        # Tokens that there are already never expire, as before.
        migrations.AddField(
            model_name="token",
            name="expires_at",
            field=models.DateTimeField(
                blank=True, help_text="Never, if this is empty.", null=True, verbose_name="expires"
            ),
        ),
    ]
